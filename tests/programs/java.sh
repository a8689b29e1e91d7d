#!/usr/bin/env bash
# A Java virtual machine: its compiler threads, class metadata and direct buffers live in malloc.
# shellcheck source=lib.sh disable=SC2317
source "$(dirname -- "$0")/lib.sh"

need java javac

jvm=(java -XX:-UsePerfData -Xshare:auto -Xmx128m)
active "${jvm[@]}" -version

cat >"$in/Churn.java" <<'END'
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;
import java.util.zip.*;

public class Churn {
    static String churn(long seed, int rounds) throws Exception {
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        Map<Long, ByteBuffer> live = new TreeMap<>();
        for (int i = 0; i < rounds; i++) {
            seed = seed * 16807 % 2147483647;
            ByteBuffer buffer = ByteBuffer.allocateDirect((int) (seed % 20000) + 16);
            buffer.putLong(0, seed).putInt(8, i);
            live.put(seed % 200, buffer);
            if (i % 100 == 0) {
                for (ByteBuffer b : live.values()) {
                    digest.update(b.duplicate());
                }
                Deflater deflater = new Deflater(i % 9);
                byte[] text = live.keySet().toString().getBytes();
                deflater.setInput(text);
                deflater.finish();
                digest.update(text, 0, Math.min(text.length, 100));
                deflater.deflate(new byte[10000]);
                deflater.end();
            }
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    public static void main(String[] arguments) throws Exception {
        System.out.println(churn(1, 5000));
        ExecutorService pool = Executors.newFixedThreadPool(6);
        List<Future<String>> results = new ArrayList<>();
        for (int n = 2; n < 14; n++) {
            long seed = n;
            results.add(pool.submit(() -> churn(seed, 1500)));
        }
        for (Future<String> result : results) {
            System.out.println(result.get());
        }
        pool.shutdown();
        for (int n = 0; n < 300; n++) {
            Thread thread = new Thread(() -> ByteBuffer.allocateDirect(5000));
            thread.start();
            thread.join();
        }
        System.out.println(IntStream.range(0, 500000).parallel().mapToObj(Integer::toString)
            .filter(s -> s.matches(".*(7|13).*")).collect(Collectors.summingInt(String::length)));
        Process child = new ProcessBuilder("/bin/echo", "from a child").start();
        System.out.print(new String(child.getInputStream().readAllBytes()));
        System.out.println(child.waitFor());
    }
}
END

compile_and_run() {
    javac -J-XX:-UsePerfData -d . "$in/Churn.java"
    "${jvm[@]}" -cp . Churn
}

same "javac and java" compile_and_run
same "interpreter only" "${jvm[@]}" -Xint --version
same "serial collector, from source" "${jvm[@]}" -XX:+UseSerialGC "$in/Churn.java"
finish
