import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;

/**
 * Reads messages with Kafka's generated classes and writes them again.
 *
 * input  := (class:utf version:int16 length:int32 byte*)*
 * output := (left:int32 length:int32 byte*)*     left: bytes of the input message not read, -1: the
 *                                                bytes are the text of an exception
 */
public class RoundTrip {
    public static void main(String[] args) throws Exception {
        Map<String, Class<?>> classes = new HashMap<>();
        try (DataInputStream in = new DataInputStream(new BufferedInputStream(
                 new FileInputStream(args[0])));
             DataOutputStream out = new DataOutputStream(new BufferedOutputStream(
                 new FileOutputStream(args[1])))) {
            while (true) {
                String name;
                try {
                    name = in.readUTF();
                } catch (EOFException end) {
                    return;
                }
                short version = in.readShort();
                byte[] data = new byte[in.readInt()];
                in.readFully(data);
                byte[] again;
                int left;
                try {
                    Class<?> type = classes.get(name);
                    if (type == null) {
                        type = Class.forName(name);
                        classes.put(name, type);
                    }
                    Message message = (Message) type.getDeclaredConstructor().newInstance();
                    ByteBuffer buffer = ByteBuffer.wrap(data);
                    message.read(new ByteBufferAccessor(buffer), version);
                    left = buffer.remaining();
                    ByteBuffer written = MessageUtil.toByteBufferAccessor(message, version).buffer();
                    again = new byte[written.remaining()];
                    written.get(again);
                } catch (Exception error) {
                    StringWriter text = new StringWriter();
                    error.printStackTrace(new PrintWriter(text, true));
                    left = -1;
                    again = text.toString().getBytes("UTF-8");
                }
                out.writeInt(left);
                out.writeInt(again.length);
                out.write(again);
            }
        }
    }
}
