package compat;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.gaul.s3proxy.AuthenticationType;
import org.gaul.s3proxy.S3Proxy;
import org.jclouds.ContextBuilder;
import org.jclouds.blobstore.BlobStore;
import org.jclouds.blobstore.BlobStoreContext;

/**
 * An S3 in memory that checks signatures, until its input ends. Arguments: a bucket, an access key id, its secret. Prints its port; on its
 * input, "revoke" takes the key away and "grant" gives it back, and each is said again once it is done.
 */
public final class S3 {
    private S3() {
    }

    public static void main(String[] arguments) throws Exception {
        String id = arguments[1];
        String secret = arguments[2];
        BlobStore objects = ContextBuilder.newBuilder("transient").build(BlobStoreContext.class).getBlobStore();
        objects.createContainerInLocation(null, arguments[0]);
        Map<String, String> keys = new ConcurrentHashMap<>(Map.of(id, secret));
        S3Proxy proxy = S3Proxy.builder()
            .blobStore(objects)
            .endpoint(URI.create("http://127.0.0.1:0"))
            .awsAuthentication(AuthenticationType.AWS_V4, id, secret)
            .build();
        proxy.setBlobStoreLocator((identity, bucket, key) -> keys.containsKey(identity) ? Map.entry(keys.get(identity), objects) : null);
        proxy.start();
        System.out.println(proxy.getPort());
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        for (String word = input.readLine(); word != null; word = input.readLine()) {
            if (word.equals("revoke")) {
                keys.remove(id);
            } else {
                keys.put(id, secret);
            }
            System.out.println(word);
        }
        System.exit(0);
    }
}
