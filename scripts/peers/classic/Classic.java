import java.io.File;
import java.util.List;
import org.apache.activemq.broker.BrokerPlugin;
import org.apache.activemq.broker.BrokerService;
import org.apache.activemq.security.AuthenticationUser;
import org.apache.activemq.security.SimpleAuthenticationPlugin;
import org.apache.activemq.store.kahadb.KahaDBPersistenceAdapter;

/** ActiveMQ Classic in one process, with its own store, a user, and a connector for each protocol: Classic DIRECTORY AMQP STOMP MQTT WS BRIDGED. The last is of AMQP too, and makes messages of JMS of what comes. */
public class Classic {
    public static void main(String[] args) throws Exception {
        BrokerService broker = new BrokerService();
        broker.setBrokerName("localhost");
        broker.setSchedulerSupport(true);
        broker.setDataDirectoryFile(new File(args[0]));
        broker.getManagementContext().setCreateConnector(false);
        KahaDBPersistenceAdapter store = new KahaDBPersistenceAdapter();
        store.setDirectory(new File(args[0], "kahadb"));
        broker.setPersistenceAdapter(store);
        SimpleAuthenticationPlugin users = new SimpleAuthenticationPlugin(List.of(new AuthenticationUser("conformance", "a-word-that-is-right", "users")));
        users.setAnonymousAccessAllowed(true);
        users.setAnonymousGroup("users");
        broker.setPlugins(new BrokerPlugin[] {users});
        String options = "?maximumConnections=1000&wireFormat.maxFrameSize=104857600";
        broker.addConnector("amqp://127.0.0.1:" + args[1] + options);
        broker.addConnector("stomp://127.0.0.1:" + args[2] + options);
        broker.addConnector("mqtt://127.0.0.1:" + args[3] + options);
        broker.addConnector("ws://127.0.0.1:" + args[4] + "?maximumConnections=1000");
        broker.addConnector("amqp://127.0.0.1:" + args[5] + options + "&transport.transformer=jms");
        broker.start();
        broker.waitUntilStopped();
    }
}
