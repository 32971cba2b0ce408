import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.neo4j.configuration.GraphDatabaseSettings;
import org.neo4j.configuration.connectors.BoltConnector;
import org.neo4j.configuration.helpers.SocketAddress;
import org.neo4j.dbms.api.DatabaseManagementServiceBuilder;
import org.neo4j.io.ByteUnit;

/**
 * Neo4j community in this process: args are the data directory and the Bolt port; NEO4J_PASSWORD is the password of the
 * user neo4j, set when the directory is new. Stops cleanly on SIGTERM.
 */
public class Neo4jServer {
    public static void main(String[] args) throws Exception {
        var home = Path.of(args[0]);
        var passwordIsSet = home.resolve("password-is-set");
        if (Files.notExists(passwordIsSet)) {
            setPassword(home);
            Files.createFile(passwordIsSet);
        }
        var address = new SocketAddress("127.0.0.1", Integer.parseInt(args[1]));
        var dbms = server(home)
                .setConfig(BoltConnector.enabled, true)
                .setConfig(BoltConnector.listen_address, address)
                .setConfig(BoltConnector.advertised_address, address)
                .build();
        Runtime.getRuntime().addShutdownHook(new Thread(dbms::shutdown));
        Thread.currentThread().join();
    }

    /** While nobody can connect: the connector would open before the password is set. */
    static void setPassword(Path home) {
        var dbms = server(home).build();
        dbms.database("system").executeTransactionally(
                "CREATE OR REPLACE USER neo4j SET PASSWORD $password CHANGE NOT REQUIRED",
                Map.of("password", System.getenv("NEO4J_PASSWORD")));
        dbms.shutdown();
    }

    static DatabaseManagementServiceBuilder server(Path home) {
        return new DatabaseManagementServiceBuilder(home)
                .setConfig(GraphDatabaseSettings.auth_enabled, true)
                .setConfig(GraphDatabaseSettings.pagecache_memory, ByteUnit.mebiBytes(64));
    }
}
