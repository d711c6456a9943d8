// Apache Kafka's Java client. Records travel as JSON lines of a fixed shape, read without a library.

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.Future;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public final class Client {
    private static final HexFormat HEX = HexFormat.of();
    private static final Pattern HEADER = Pattern.compile("\\[\"([^\"]*)\", (null|\"[^\"]*\")\\]");

    public static void main(String[] args) throws Exception {
        List<String> rest = Arrays.asList(args).subList(3, args.length);
        if (args[0].equals("produce")) {
            produce(args[1], args[2], rest);
        } else {
            consume(args[1], args[2], Integer.parseInt(rest.get(0)), rest.subList(1, rest.size()));
        }
    }

    private static void produce(String bootstrap, String file, List<String> topics)
            throws Exception {
        List<String> lines = Files.readAllLines(Path.of(file));
        for (String one : topics) {
            String[] codecAndTopic = one.split("=");
            Properties config = new Properties();
            config.put("bootstrap.servers", bootstrap);
            config.put("compression.type", codecAndTopic[0]);
            config.put("linger.ms", "20");
            var bytes = new ByteArraySerializer();
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            try (var producer = new KafkaProducer<>(config, bytes, new ByteArraySerializer())) {
                for (String line : lines) {
                    if (text(line, "topic").equals(codecAndTopic[1])) {
                        sent.add(producer.send(parse(line)));
                    }
                }
                for (Future<RecordMetadata> future : sent) {
                    future.get();
                }
            }
        }
    }

    private static void consume(String bootstrap, String group, int count, List<String> topics) {
        Properties config = new Properties();
        config.put("bootstrap.servers", bootstrap);
        config.put("group.id", group);
        config.put("auto.offset.reset", "earliest");
        var out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        int seen = 0;
        var bytes = new ByteArrayDeserializer();
        try (var consumer = new KafkaConsumer<>(config, bytes, new ByteArrayDeserializer())) {
            consumer.subscribe(topics);
            while (seen < count) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
                    if (seen++ < count) {
                        out.println(format(record));
                    }
                }
            }
        }
    }

    private static ProducerRecord<byte[], byte[]> parse(String line) {
        Matcher partition = Pattern.compile("\"partition\": (\\d+)").matcher(line);
        if (!partition.find()) {
            throw new IllegalArgumentException("no partition: " + line);
        }
        var record = new ProducerRecord<>(text(line, "topic"), Integer.parseInt(partition.group(1)),
            fromHex(text(line, "key")), fromHex(text(line, "value")));
        Matcher headers = HEADER.matcher(line);
        while (headers.find()) {
            String value = headers.group(2).equals("null") ? null : unquote(headers.group(2));
            record.headers().add(unescape(headers.group(1)), fromHex(value));
        }
        return record;
    }

    private static String format(ConsumerRecord<byte[], byte[]> record) {
        List<String> headers = new ArrayList<>();
        for (Header header : record.headers()) {
            headers.add("[\"" + header.key() + "\", " + toHex(header.value()) + "]");
        }
        return "{\"topic\": \"" + record.topic() + "\", \"partition\": " + record.partition()
            + ", \"headers\": [" + String.join(", ", headers) + "], \"key\": "
            + toHex(record.key()) + ", \"value\": " + toHex(record.value()) + "}";
    }

    private static String text(String line, String name) {
        Matcher found = Pattern.compile("\"" + name + "\": (null|\"[^\"]*\")").matcher(line);
        if (!found.find()) {
            throw new IllegalArgumentException("no " + name + ": " + line);
        }
        return found.group(1).equals("null") ? null : unquote(found.group(1));
    }

    private static String unquote(String quoted) {
        return quoted.substring(1, quoted.length() - 1);
    }

    private static String unescape(String text) {
        return Pattern.compile("\\\\u([0-9a-f]{4})").matcher(text)
            .replaceAll(m -> Character.toString(Integer.parseInt(m.group(1), 16)));
    }

    private static byte[] fromHex(String text) {
        return text == null ? null : HEX.parseHex(text);
    }

    private static String toHex(byte[] bytes) {
        return bytes == null ? "null" : "\"" + HEX.formatHex(bytes) + "\"";
    }
}
