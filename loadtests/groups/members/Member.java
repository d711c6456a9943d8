// Apache Kafka's Java client; see the package's guide for the commands.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public final class Member implements Runnable, ConsumerRebalanceListener {
    private final KafkaConsumer<byte[], byte[]> consumer;
    private final String topic;
    private final Set<Integer> owned = new HashSet<>();
    private Set<Integer> fresh = new HashSet<>();
    private volatile boolean leaving;

    private Member(String bootstrap, String group, String topic, String protocol, String session) {
        Properties config = new Properties();
        config.put("bootstrap.servers", bootstrap);
        config.put("group.id", group);
        config.put("auto.offset.reset", "earliest");
        config.put("group.protocol", protocol);
        if (protocol.equals("classic")) { // the broker decides for the other
            config.put("session.timeout.ms", session);
        }
        var bytes = new ByteArrayDeserializer();
        this.consumer = new KafkaConsumer<>(config, bytes, new ByteArrayDeserializer());
        this.topic = topic;
    }

    public static void main(String[] args) throws Exception {
        var lines = new BufferedReader(new InputStreamReader(System.in));
        Member member = null;
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split(" ");
            if (words[0].equals("open")) {
                member = new Member(args[0], words[1], words[2], words[3], words[4]);
                var thread = new Thread(member);
                thread.setDaemon(true);
                thread.start();
            } else {
                member.leaving = true;
                member.consumer.wakeup();
            }
        }
    }

    private static synchronized void tell(String event, String more) {
        System.out.println("{\"event\": \"" + event + "\", \"at\": " + System.nanoTime() + more + "}");
    }

    @Override
    public void run() {
        tell("subscribe", "");
        consumer.subscribe(List.of(topic), this);
        try {
            while (!leaving) {
                for (ConsumerRecord<byte[], byte[]> one : consumer.poll(Duration.ofSeconds(1))) {
                    if (fresh.remove(one.partition())) {
                        tell("record", ", \"partition\": " + one.partition());
                    }
                }
            }
        } catch (WakeupException told) {
            // It is to leave.
        }
        tell("closing", "");
        consumer.close();
        tell("closed", "");
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        partitions.forEach(one -> owned.add(one.partition()));
        nowOwned();
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        partitions.forEach(one -> owned.remove(one.partition()));
        nowOwned();
    }

    private void nowOwned() {
        fresh = new HashSet<>(owned);
        if (!leaving) {
            String all = owned.stream().map(String::valueOf).collect(Collectors.joining(", "));
            tell("assigned", ", \"partitions\": [" + all + "]");
        }
    }
}
