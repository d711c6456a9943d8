// Apache Kafka's Java client: consume, transform, produce in transactions; and read_committed.
//
// Errors as KafkaProducer's documentation has them: a fenced producer is the end of its process
// (exit 3), a commit that timed out is asked for again, other errors abort the transaction and the
// records are consumed anew; when even the abort fails, a new producer takes over.

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public final class Client {
    private static final int FENCED = 3;
    private static final int TRIES = 20;
    private static final Random CHANCE = new Random();

    private final Map<String, String> args;
    private final Journal journal;
    private final List<TopicPartition> owned = new ArrayList<>();
    private volatile boolean stopped = false;
    private int transactions = 0;

    private Client(Map<String, String> args) throws Exception {
        this.args = args;
        this.journal = new Journal(args.get("journal"), args.get("process"));
        for (String partition : args.getOrDefault("partitions", "").split(",")) {
            if (!partition.isEmpty()) {
                owned.add(new TopicPartition(args.get("input"), Integer.parseInt(partition)));
            }
        }
    }

    public static void main(String[] given) throws Exception {
        Map<String, String> args = new HashMap<>();
        for (String one : given) {
            String[] pair = one.split("=", 2);
            args.put(pair[0], pair[1]);
        }
        var client = new Client(args);
        if (args.get("role").equals("copy")) {
            client.copy();
        } else {
            client.read();
        }
        Runtime.getRuntime().halt(0);
    }

    private Properties config() {
        var config = new Properties();
        config.put("bootstrap.servers", args.get("bootstrap"));
        config.put("reconnect.backoff.ms", "20");
        config.put("reconnect.backoff.max.ms", "500");
        config.put("retry.backoff.ms", "20");
        config.put("retry.backoff.max.ms", "500");
        config.put("request.timeout.ms", "5000");
        config.put("default.api.timeout.ms", "10000");
        return config;
    }

    private KafkaConsumer<String, String> consumer() {
        Properties config = config();
        config.put("group.id", args.get("group"));
        config.put("isolation.level", "read_committed");
        config.put("enable.auto.commit", "false");
        config.put("auto.offset.reset", "earliest");
        config.put("max.poll.records", "50");
        String protocol = args.getOrDefault("protocol", "classic");
        config.put("group.protocol", protocol);
        if (protocol.equals("classic")) {
            config.put("session.timeout.ms", args.getOrDefault("session", "6000"));
            config.put("heartbeat.interval.ms", "300");
        }
        return new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
    }

    private KafkaProducer<String, String> producer() {
        Properties config = config();
        config.put("transactional.id", args.get("id"));
        config.put("transaction.timeout.ms", args.get("timeout"));
        config.put("max.block.ms", "10000");
        config.put("delivery.timeout.ms", "10000");
        config.put("linger.ms", "2");
        return new KafkaProducer<>(config, new StringSerializer(), new StringSerializer());
    }

    private void copy() {
        var main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            stopped = true;
            try {
                main.join(8000);
            } catch (InterruptedException ignored) {
                Thread.currentThread().interrupt();
            }
        }));
        var consumer = consumer();
        if (owned.isEmpty()) {
            consumer.subscribe(List.of(args.get("input")), new ConsumerRebalanceListener() {
                @Override public void onPartitionsAssigned(Collection<TopicPartition> some) {
                    journal.note("seek");
                }

                @Override public void onPartitionsRevoked(Collection<TopicPartition> some) {
                    journal.note("seek");
                }
            });
        } else {
            consumer.assign(owned);
        }
        while (!stopped) {
            KafkaProducer<String, String> producer = producer();
            try {
                insist(producer::initTransactions);
                rewind(consumer);
                while (!stopped) {
                    one(consumer, producer);
                }
            } catch (ProducerFencedException error) {
                System.err.println("fenced: " + error);
                Runtime.getRuntime().halt(FENCED);
            } catch (KafkaException error) {
                System.err.println("a new producer, for " + error);
            } finally {
                producer.close(Duration.ZERO);
            }
        }
        consumer.close();
    }

    private void one(KafkaConsumer<String, String> consumer,
            KafkaProducer<String, String> producer) {
        ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(200));
        if (records.isEmpty()) {
            return;
        }
        note(records);
        String txn = args.get("process") + ":" + transactions++;
        try {
            transaction(consumer, producer, txn, records);
        } catch (ProducerFencedException error) {
            throw error;
        } catch (KafkaException error) {
            System.err.println(txn + " is aborted for " + error);
            journal.note("abort", "txn", txn);
            insist(producer::abortTransaction);
            journal.note("aborted", "txn", txn);
            rewind(consumer);
        }
    }

    private void transaction(KafkaConsumer<String, String> consumer,
            KafkaProducer<String, String> producer, String txn,
            ConsumerRecords<String, String> records) {
        journal.note("begin", "txn", txn);
        producer.beginTransaction();
        Map<TopicPartition, OffsetAndMetadata> nexts = new HashMap<>();
        Map<String, Long> told = new TreeMap<>();
        for (ConsumerRecord<String, String> record : records) {
            send(producer, txn, record);
            var partition = new TopicPartition(record.topic(), record.partition());
            nexts.put(partition, new OffsetAndMetadata(record.offset() + 1));
            told.put(record.topic() + "/" + record.partition(), record.offset() + 1);
        }
        long number = journal.number();
        journal.note("offsets", "id", number, "group", args.get("group"), "offsets", told,
            "txn", txn);
        producer.sendOffsetsToTransaction(nexts, consumer.groupMetadata());
        journal.note("stored", "id", number);
        if (CHANCE.nextInt(3) == 0) {
            sleep(30);
        }
        journal.note("commit", "txn", txn);
        insist(producer::commitTransaction);
        journal.note("committed", "txn", txn);
    }

    private void send(KafkaProducer<String, String> producer, String txn,
            ConsumerRecord<String, String> record) {
        long number = journal.number();
        String topic = args.get("output");
        String value = record.value() + "@" + txn;
        journal.note("send", "id", number, "topic", topic, "partition", record.partition(),
            "key", record.key(), "value", value, "txn", txn);
        var out = new ProducerRecord<>(topic, record.partition(), record.key(), value);
        producer.send(out, (metadata, error) -> {
            if (error == null) {
                journal.note("sent", "id", number, "partition", metadata.partition(),
                    "offset", metadata.offset());
            }
        });
    }

    // Positions are what the group has stored.
    private void rewind(KafkaConsumer<String, String> consumer) {
        Set<TopicPartition> partitions = consumer.assignment();
        if (partitions.isEmpty()) {
            return;
        }
        long asked = System.currentTimeMillis();
        Map<TopicPartition, OffsetAndMetadata> stored = new HashMap<>();
        insist(() -> stored.putAll(consumer.committed(partitions)));
        Map<String, Long> told = new TreeMap<>();
        journal.note("seek");
        for (TopicPartition partition : partitions) {
            OffsetAndMetadata at = stored.get(partition);
            told.put(partition.topic() + "/" + partition.partition(),
                at == null ? -1 : at.offset());
            consumer.seek(partition, at == null ? 0 : at.offset());
        }
        journal.note("fetched", "asked", asked, "group", args.get("group"), "offsets", told);
    }

    private void note(ConsumerRecords<String, String> records) {
        for (TopicPartition partition : records.partitions()) {
            List<List<Object>> read = new ArrayList<>();
            for (ConsumerRecord<String, String> record : records.records(partition)) {
                read.add(List.of(record.offset(), record.key(), record.value()));
            }
            journal.note("poll", "topic", partition.topic(), "partition", partition.partition(),
                "records", read);
        }
    }

    // Everything in a topic, from the beginning to the last stable offset of now.
    private void read() {
        var consumer = consumer();
        List<TopicPartition> all = new ArrayList<>();
        for (PartitionInfo info : consumer.partitionsFor(args.get("topic"))) {
            all.add(new TopicPartition(info.topic(), info.partition()));
        }
        consumer.assign(all);
        consumer.seekToBeginning(all);
        Map<TopicPartition, Long> ends = consumer.endOffsets(all);
        Set<TopicPartition> left = new HashSet<>(all);
        while (!left.isEmpty()) {
            note(consumer.poll(Duration.ofMillis(500)));
            for (TopicPartition partition : List.copyOf(left)) {
                if (consumer.position(partition) >= ends.get(partition)) {
                    left.remove(partition);
                    journal.note("reached", "topic", partition.topic(), "partition",
                        partition.partition(), "offset", consumer.position(partition));
                }
            }
        }
        consumer.close();
    }

    private static void insist(Runnable call) {
        for (int attempt = 1;; attempt++) {
            try {
                call.run();
                return;
            } catch (TimeoutException error) {
                if (attempt == TRIES) {
                    throw error;
                }
            }
        }
    }

    private static void sleep(long ms) {
        try {
            Thread.sleep(ms);
        } catch (InterruptedException error) {
            throw new IllegalStateException(error);
        }
    }
}
