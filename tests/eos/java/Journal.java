// The history that a client writes: a JSON line an event, each with one write.

import java.io.FileOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.Map;

final class Journal {
    private final FileOutputStream file;
    private final String process;
    private long numbers = 0;

    Journal(String path, String process) throws IOException {
        this.file = new FileOutputStream(path, true);
        this.process = process;
    }

    synchronized long number() {
        return ++numbers;
    }

    // Pairs of a name and a value: a String, a Number, a List or a Map of such.
    synchronized void note(String event, Object... pairs) {
        var line = new StringBuilder("{\"at\": ").append(System.currentTimeMillis());
        line.append(", \"process\": ").append(json(process));
        line.append(", \"event\": ").append(json(event));
        for (int n = 0; n < pairs.length; n += 2) {
            line.append(", ").append(json(pairs[n])).append(": ").append(json(pairs[n + 1]));
        }
        try {
            file.write(line.append("}\n").toString().getBytes(StandardCharsets.UTF_8));
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private static String json(Object value) {
        if (value instanceof Number) {
            return value.toString();
        }
        if (value instanceof Collection<?> items) {
            return "[" + String.join(", ", items.stream().map(Journal::json).toList()) + "]";
        }
        if (value instanceof Map<?, ?> map) {
            var items = map.entrySet().stream()
                .map(e -> json(e.getKey()) + ": " + json(e.getValue())).toList();
            return "{" + String.join(", ", items) + "}";
        }
        return "\"" + value.toString().replace("\\", "\\\\").replace("\"", "\\\"") + "\"";
    }
}
