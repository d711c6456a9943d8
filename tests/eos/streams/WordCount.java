// Words counted with Kafka Streams, exactly once: in all (a store in memory) and by windows of time
// (RocksDB). A line is "TIME ID WORD...", its time being TIME; the result of each word is its
// count, a record for each step.

import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

public final class WordCount {
    public static void main(String[] given) {
        Map<String, String> args = new HashMap<>();
        for (String one : given) {
            String[] pair = one.split("=", 2);
            args.put(pair[0], pair[1]);
        }
        var config = new Properties();
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, args.get("group"));
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args.get("bootstrap"));
        config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        config.put(StreamsConfig.STATE_DIR_CONFIG, args.get("state"));
        config.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, args.get("threads"));
        config.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, "0"); // every step is told
        config.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        config.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        config.put("reconnect.backoff.max.ms", "500");
        config.put("retry.backoff.max.ms", "500");
        config.put("request.timeout.ms", "5000");
        config.put(StreamsConfig.consumerPrefix("session.timeout.ms"), args.get("session"));
        config.put(StreamsConfig.consumerPrefix("heartbeat.interval.ms"), "300");
        config.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        config.put(StreamsConfig.producerPrefix("transaction.timeout.ms"), args.get("timeout"));
        config.put(StreamsConfig.producerPrefix("delivery.timeout.ms"), "8000");

        var streams = new KafkaStreams(topology(args).build(), config);
        streams.setUncaughtExceptionHandler(error -> {
            System.err.println("a new thread, for " + error);
            return StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse.REPLACE_THREAD;
        });
        var end = new Thread(() -> streams.close(Duration.ofSeconds(10)));
        Runtime.getRuntime().addShutdownHook(end);
        streams.start();
    }

    private static StreamsBuilder topology(Map<String, String> args) {
        var builder = new StreamsBuilder();
        KGroupedStream<String, String> words = builder
            .stream(args.get("input"), Consumed.with(Serdes.String(), Serdes.String())
                .withTimestampExtractor((record, before) -> time((String) record.value())))
            .flatMapValues(line -> Arrays.stream(line.split(" ")).skip(2).toList())
            .groupBy((key, word) -> word, Grouped.as("words"));
        words.count(Materialized.as(Stores.inMemoryKeyValueStore("totals")))
            .toStream().mapValues(count -> Long.toString(count))
            .to(args.get("totals"), Produced.with(Serdes.String(), Serdes.String()));
        var windows = TimeWindows.ofSizeAndGrace(
            Duration.ofMillis(Long.parseLong(args.get("window"))), Duration.ofHours(1));
        words.windowedBy(windows)
            .count(Materialized.<String, Long, WindowStore<Bytes, byte[]>>as("by-window"))
            .toStream()
            .map((word, count) ->
                KeyValue.pair(word.key() + "@" + word.window().start(), Long.toString(count)))
            .to(args.get("windows"), Produced.with(Serdes.String(), Serdes.String()));
        return builder;
    }

    private static long time(String line) {
        return Long.parseLong(line.substring(0, line.indexOf(' ')));
    }
}
