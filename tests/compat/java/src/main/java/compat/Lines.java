package compat;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.LinkedHashMap;
import java.util.Map;

/** What a program tells the test that started it: a JSON document a line on standard output, each with an {@code event}. */
final class Lines {
    private static final ObjectMapper MAPPER = new ObjectMapper();

    private Lines() {}

    /** Tell an event; {@code pairs} are names and values in turn. */
    static synchronized void tell(String event, Object... pairs) {
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("event", event);
        for (int at = 0; at < pairs.length; at += 2) {
            document.put((String) pairs[at], pairs[at + 1]);
        }
        try {
            System.out.println(MAPPER.writeValueAsString(document));
        } catch (JsonProcessingException error) {
            throw new IllegalArgumentException(error);
        }
        System.out.flush();
    }
}
