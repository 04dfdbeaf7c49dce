// One scenario of the Qpid JMS tests: java QpidJms PORT SCENARIO. Prints `ok`, or fails with a trace.
import jakarta.jms.BytesMessage;
import jakarta.jms.Connection;
import jakarta.jms.DeliveryMode;
import jakarta.jms.InvalidClientIDException;
import jakarta.jms.InvalidDestinationException;
import jakarta.jms.JMSException;
import jakarta.jms.JMSSecurityException;
import jakarta.jms.MapMessage;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.ObjectMessage;
import jakarta.jms.Queue;
import jakarta.jms.QueueBrowser;
import jakarta.jms.Session;
import jakarta.jms.StreamMessage;
import jakarta.jms.TemporaryQueue;
import jakarta.jms.TemporaryTopic;
import jakarta.jms.TextMessage;
import jakarta.jms.Topic;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.qpid.jms.JmsConnectionFactory;

public class QpidJms {
  static final int WAIT = 5000;
  static String url;

  interface Call {
    void run() throws Exception;
  }

  public static void main(String[] args) throws Exception {
    url = "amqp://127.0.0.1:" + args[0] + "?jms.closeTimeout=3000&jms.requestTimeout=5000";
    switch (args[1]) {
      case "bodies" -> bodies();
      case "temporary" -> temporary();
      case "durable" -> durable();
      case "shared" -> shared();
      case "recover" -> recover();
      case "prefetch" -> prefetch();
      case "selectors" -> selectors();
      case "transacted" -> transacted();
      case "browse" -> browse();
      case "sharing" -> sharing();
      case "wildcard" -> wildcard();
      case "client-id" -> clientId();
      case "time" -> time();
      case "listener" -> listener();
      case "login" -> login(args[2], args[3], args[4]);
      default -> throw new IllegalArgumentException(args[1]);
    }
    System.out.println("ok");
    System.exit(0);
  }

  static Connection connect(String clientId, String options) throws Exception {
    JmsConnectionFactory factory = new JmsConnectionFactory(url + options);
    if (clientId != null) factory.setClientID(clientId);
    Connection connection = factory.createConnection("user", "password");
    connection.start();
    return connection;
  }

  static Session session(Connection connection) throws Exception {
    return connection.createSession(Session.AUTO_ACKNOWLEDGE);
  }

  static void check(boolean ok, String what) {
    if (!ok) throw new AssertionError(what);
  }

  static void refuses(String word, Call call) throws Exception {
    try {
      call.run();
    } catch (JMSException error) {
      check(error.getMessage().contains(word), error.getMessage());
      return;
    }
    throw new AssertionError("not refused: " + word);
  }

  static int drain(MessageConsumer consumer) throws Exception {
    int count = 0;
    while (consumer.receive(300) != null) count++;
    return count;
  }

  static void login(String mechanism, String user, String password) throws Exception {
    JmsConnectionFactory factory = new JmsConnectionFactory(url + "&amqp.saslMechanisms=" + mechanism);
    Connection connection;
    try {
      connection = factory.createConnection(user, password);
      connection.start();
    } catch (JMSSecurityException error) {
      System.out.println("refused");
      return;
    }
    Session session = session(connection);
    Queue queue = session.createQueue("jms.login");
    session.createProducer(queue).send(session.createTextMessage("x"));
    check(session.createConsumer(queue).receive(WAIT) != null, "nothing came");
    connection.close();
  }

  static void bodies() throws Exception {
    Connection connection = connect(null, "");
    Session session = session(connection);
    Queue queue = session.createQueue("jms.bodies");
    MessageProducer producer = session.createProducer(queue);
    MessageConsumer consumer = session.createConsumer(queue);
    TextMessage text = session.createTextMessage("grün 😀");
    text.setStringProperty("a", "x");
    text.setIntProperty("n", 5);
    text.setJMSType("type");
    text.setJMSCorrelationID("c");
    producer.send(text);
    TextMessage got = (TextMessage) consumer.receive(WAIT);
    check(got.getText().equals("grün 😀") && got.getStringProperty("a").equals("x") && got.getIntProperty("n") == 5, "text and properties");
    check(got.getJMSType().equals("type") && got.getJMSCorrelationID().equals("c") && got.getJMSMessageID().equals(text.getJMSMessageID()), "headers");
    check(got.getJMSDestination().equals(queue) && got.getJMSDeliveryMode() == DeliveryMode.PERSISTENT && !got.getJMSRedelivered(), "delivery");
    MapMessage map = session.createMapMessage();
    map.setInt("i", 1);
    map.setBytes("b", new byte[] {1});
    producer.send(map);
    check(((MapMessage) consumer.receive(WAIT)).getInt("i") == 1, "map");
    StreamMessage stream = session.createStreamMessage();
    stream.writeString("x");
    stream.writeLong(3);
    producer.send(stream);
    StreamMessage streamed = (StreamMessage) consumer.receive(WAIT);
    check(streamed.readString().equals("x") && streamed.readLong() == 3, "stream");
    BytesMessage bytes = session.createBytesMessage();
    bytes.writeBytes(new byte[100_000]);
    producer.send(bytes);
    check(((BytesMessage) consumer.receive(WAIT)).getBodyLength() == 100_000, "bytes");
    producer.send(session.createObjectMessage(new ArrayList<>(List.of("x"))));
    check(consumer.receive(WAIT) instanceof ObjectMessage, "object");
    producer.send(session.createMessage());
    check(consumer.receive(WAIT) != null, "no body");
    connection.close();
  }

  static TextMessage grouped(Session session, String text, String group) throws Exception {
    TextMessage message = session.createTextMessage(text);
    message.setStringProperty("JMSXGroupID", group);
    return message;
  }

  static String text(MessageConsumer consumer) throws Exception {
    return text(consumer.receive(WAIT));
  }

  /** Who of several consumers gets what: message priority, groups, exclusive consumers, consumer priority. */
  static void sharing() throws Exception {
    Connection connection = connect(null, "&jms.prefetchPolicy.all=10");
    Session session = session(connection);
    Session other = session(connection);
    Queue ranked = session.createQueue("jms.ranked");
    MessageProducer producer = session.createProducer(ranked);
    for (int priority : new int[] {4, 9, 0}) {
      producer.setPriority(priority);
      producer.send(session.createTextMessage("p" + priority));
    }
    MessageConsumer consumer = session.createConsumer(ranked);
    for (String wanted : new String[] {"p9", "p4", "p0"}) check(wanted.equals(text(consumer)), "priority " + wanted);
    consumer.close();

    Queue queue = session.createQueue("jms.groups");
    MessageConsumer one = session.createConsumer(queue);
    MessageConsumer two = other.createConsumer(queue);
    MessageProducer grouping = session.createProducer(queue);
    for (int i = 0; i < 3; i++) for (String group : new String[] {"a", "b"}) grouping.send(grouped(session, group + i, group));
    for (int i = 0; i < 3; i++) check(("a" + i).equals(text(one)), "group a");
    for (int i = 0; i < 3; i++) check(("b" + i).equals(text(two)), "group b");
    TextMessage last = grouped(session, "end", "a");
    last.setIntProperty("JMSXGroupSeq", -1);
    grouping.send(last);
    check("end".equals(text(one)), "the group is closed");
    one.close();
    grouping.send(grouped(session, "a3", "a"));
    check("a3".equals(text(two)), "the group goes over");
    two.close();

    MessageConsumer first = session.createConsumer(session.createQueue("jms.exclusive?consumer.exclusive=true"));
    MessageConsumer second = other.createConsumer(other.createQueue("jms.exclusive?consumer.exclusive=true"));
    MessageProducer exclusive = session.createProducer(session.createQueue("jms.exclusive"));
    for (String text : new String[] {"1", "2"}) exclusive.send(session.createTextMessage(text));
    check("1".equals(text(first)) && "2".equals(text(first)), "the first takes");
    check(second.receive(100) == null, "the second waits");
    first.close();
    exclusive.send(session.createTextMessage("3"));
    check("3".equals(text(second)), "the second takes over");

    MessageConsumer low = session.createConsumer(session.createQueue("jms.preferred"));
    MessageConsumer high = other.createConsumer(other.createQueue("jms.preferred?consumer.priority=5"));
    MessageProducer preferring = session.createProducer(session.createQueue("jms.preferred"));
    for (int i = 0; i < 4; i++) preferring.send(session.createTextMessage("" + i));
    for (int i = 0; i < 4; i++) check(("" + i).equals(text(high)), "the higher priority takes");
    check(low.receive(100) == null, "the lower gets nothing");
    connection.close();
  }

  static void wildcard() throws Exception {
    Connection connection = connect(null, "");
    Session session = session(connection);
    MessageConsumer all = session.createConsumer(session.createQueue("jms.wild.>"));
    List<String> got = new ArrayList<>();
    for (String name : new String[] {"jms.wild.a", "jms.wild.b.c", "jms.wild.a"}) session.createProducer(session.createQueue(name)).send(session.createTextMessage(name));
    for (int i = 0; i < 3; i++) got.add(text(all));
    got.sort(null);
    check(got.equals(List.of("jms.wild.a", "jms.wild.a", "jms.wild.b.c")), "every queue that matches: " + got);
    all.close();
    check(drain(session.createConsumer(session.createQueue("jms.wild.a"))) == 0, "they are settled");
    connection.close();
  }

  static void temporary() throws Exception {
    Connection asks = connect(null, "");
    Session session = session(asks);
    TemporaryQueue replies = session.createTemporaryQueue();
    MessageConsumer consumer = session.createConsumer(replies);
    TextMessage question = session.createTextMessage("question");
    question.setJMSReplyTo(replies);
    session.createProducer(session.createQueue("jms.questions")).send(question);
    Connection answers = connect(null, "");
    Session other = session(answers);
    Message got = other.createConsumer(other.createQueue("jms.questions")).receive(WAIT);
    other.createProducer(null).send(got.getJMSReplyTo(), other.createTextMessage("answer"));
    check(((TextMessage) consumer.receive(WAIT)).getText().equals("answer"), "answer");
    consumer.close();
    replies.delete();
    TemporaryTopic topic = session.createTemporaryTopic();
    MessageConsumer subscriber = session.createConsumer(topic);
    session.createProducer(topic).send(session.createTextMessage("t"));
    check(subscriber.receive(WAIT) != null, "temporary topic");
    asks.close();
    answers.close();
  }

  static void durable() throws Exception {
    Connection first = connect("jms-durable", "");
    Session session = session(first);
    session.createDurableSubscriber(session.createTopic("jms.durable"), "sub").close();
    first.close();
    Connection sends = connect(null, "");
    Session other = session(sends);
    MessageProducer producer = other.createProducer(other.createTopic("jms.durable"));
    producer.send(other.createTextMessage("kept"));
    Connection again = connect("jms-durable", "");
    session = session(again);
    Topic topic = session.createTopic("jms.durable");
    MessageConsumer consumer = session.createDurableSubscriber(topic, "sub");
    check(((TextMessage) consumer.receive(WAIT)).getText().equals("kept"), "kept");
    consumer.close();
    session.unsubscribe("sub");
    producer.send(other.createTextMessage("missed"));
    consumer = session.createDurableSubscriber(topic, "sub");
    check(consumer.receive(300) == null, "missed");
    consumer.close();
    session.unsubscribe("sub");
    Session last = session;
    try {
      last.unsubscribe("none");
      check(false, "there is no such subscription");
    } catch (InvalidDestinationException expected) {
      // As it should be.
    }
    sends.close();
    again.close();
  }

  static void shared() throws Exception {
    Connection connection = connect("jms-shared", "");
    Session session = session(connection);
    Topic topic = session.createTopic("jms.shared");
    MessageConsumer one = session.createSharedConsumer(topic, "volatile");
    MessageConsumer two = session.createSharedConsumer(topic, "volatile");
    MessageConsumer kept = session.createSharedDurableConsumer(topic, "durable");
    MessageProducer producer = session.createProducer(topic);
    for (int i = 0; i < 10; i++) producer.send(session.createTextMessage("" + i));
    check(drain(one) + drain(two) == 10, "shared by two");
    check(drain(kept) == 10, "shared and durable");
    kept.close();
    producer.send(session.createTextMessage("later"));
    kept = session.createSharedDurableConsumer(topic, "durable");
    check(kept.receive(WAIT) != null, "kept");
    kept.close();
    session.unsubscribe("durable");
    connection.close();
  }

  static void recover() throws Exception {
    Connection connection = connect(null, "");
    Session session = connection.createSession(Session.CLIENT_ACKNOWLEDGE);
    Queue queue = session.createQueue("jms.recover");
    session.createProducer(queue).send(session.createTextMessage("x"));
    MessageConsumer consumer = session.createConsumer(queue);
    consumer.receive(WAIT);
    session.recover();
    Message again = consumer.receive(WAIT);
    check(again.getJMSRedelivered() && again.getIntProperty("JMSXDeliveryCount") == 2, "redelivered");
    again.acknowledge();
    check(consumer.receiveNoWait() == null, "settled");
    connection.close();
  }

  static void prefetch() throws Exception {
    Connection connection = connect(null, "&jms.prefetchPolicy.all=0");
    Session session = session(connection);
    Queue queue = session.createQueue("jms.prefetch");
    MessageConsumer consumer = session.createConsumer(queue);
    check(consumer.receiveNoWait() == null, "empty");
    MessageProducer producer = session.createProducer(queue);
    for (int i = 0; i < 20; i++) producer.send(session.createTextMessage("" + i));
    for (int i = 0; i < 20; i++) check(((TextMessage) consumer.receiveNoWait()).getText().equals("" + i), "message " + i);
    check(consumer.receive(200) == null, "empty again");
    connection.close();
  }

  static void selectors() throws Exception {
    Connection connection = connect("selecting", "");
    Session session = session(connection);
    Queue queue = session.createQueue("jms.selectors");
    Topic topic = session.createTopic("jms.selectors");
    MessageConsumer chosen = session.createConsumer(queue, "color IN ('red', 'green') AND size BETWEEN 2 AND 3 AND JMSPriority = 7");
    MessageConsumer correlated = session.createConsumer(queue, "JMSCorrelationID = 'c-1'");
    MessageConsumer typed = session.createConsumer(topic, "JMSType LIKE 'ord%' AND NOT cancelled");
    MessageConsumer foreign = session.createConsumer(topic, null, true);
    session.createDurableConsumer(topic, "sub", "size > 1", false).close();
    MessageProducer producer = session.createProducer(queue);
    MessageProducer news = session.createProducer(topic);
    for (int i = 0; i < 4; i++) {
      TextMessage message = session.createTextMessage("" + i);
      message.setStringProperty("color", i == 0 ? "blue" : "red");
      message.setLongProperty("size", i);
      message.setBooleanProperty("cancelled", i != 3);
      message.setJMSType("order");
      if (i == 1) message.setJMSCorrelationID("c-1");
      producer.send(message, DeliveryMode.PERSISTENT, 7, 0);
      news.send(message);
    }
    for (int i = 2; i < 4; i++) check(text(chosen).equals("" + i), "chosen " + i);
    check(chosen.receiveNoWait() == null, "chosen no more");
    check(text(correlated).equals("1"), "correlated");
    check(text(typed).equals("3"), "typed");
    Connection other = connect(null, "");
    Session elsewhere = session(other);
    elsewhere.createProducer(topic).send(elsewhere.createTextMessage("foreign"));
    check(text(foreign).equals("foreign"), "foreign only");
    java.util.Enumeration<?> seen = session.createBrowser(queue, "size = 0").getEnumeration();
    check(seen.hasMoreElements() && ((TextMessage) seen.nextElement()).getText().equals("0") && !seen.hasMoreElements(), "browsed");
    MessageConsumer durable = session.createDurableConsumer(topic, "sub", "size > 1", false);
    for (int i = 2; i < 4; i++) check(text(durable).equals("" + i), "kept " + i);
    durable.close();
    session.unsubscribe("sub");
    refuses("x >", () -> session.createConsumer(queue, "x >"));
    other.close();
    connection.close();
  }

  static void transacted() throws Exception {
    Connection connection = connect(null, "");
    Session session = connection.createSession(Session.SESSION_TRANSACTED);
    Queue queue = session.createQueue("jms.transacted");
    Queue answers = session.createQueue("jms.transacted.answers");
    MessageProducer producer = session.createProducer(queue);
    MessageConsumer watcher = session(connect(null, "")).createConsumer(answers);

    for (int i = 0; i < 3; i++) producer.send(session.createTextMessage("undone " + i));
    session.rollback();
    for (int i = 0; i < 10; i++) producer.send(session.createTextMessage("" + i));
    session.commit();

    MessageConsumer consumer = session.createConsumer(queue);
    for (int i = 0; i < 4; i++) check(text(consumer.receive(WAIT)).equals("" + i), "message " + i);
    session.rollback();
    for (int i = 0; i < 4; i++) {
      Message again = consumer.receive(WAIT);
      check(text(again).equals("" + i), "again " + i);
      check(again.getJMSRedelivered() && again.getIntProperty("JMSXDeliveryCount") == 2, "counted " + i);
      session.createProducer(answers).send(session.createTextMessage("answer " + i));
    }
    check(watcher.receive(300) == null, "seen before its commit");
    session.commit();
    for (int i = 0; i < 4; i++) check(text(watcher.receive(WAIT)).equals("answer " + i), "answer " + i);

    // A consumer may be gone before the commit of what it received.
    check(text(consumer.receive(WAIT)).equals("4"), "message 4");
    consumer.close();
    session.commit();
    consumer = session.createConsumer(queue);
    check(text(consumer.receive(WAIT)).equals("5"), "message 5");
    session.rollback();
    connection.close();

    Connection second = connect(null, "");
    Session plain = session(second);
    consumer = plain.createConsumer(queue);
    for (int i = 5; i < 10; i++) check(text(consumer.receive(WAIT)).equals("" + i), "left " + i);
    check(consumer.receive(200) == null, "nothing is left");

    // Left open by its connection: as if it had never been.
    Session open = second.createSession(Session.SESSION_TRANSACTED);
    open.createProducer(queue).send(open.createTextMessage("lost"));
    second.close();
    check(session(connect(null, "")).createConsumer(queue).receive(300) == null, "left open and seen");
  }

  static String text(Message message) throws Exception {
    return message == null ? "nothing" : ((TextMessage) message).getText();
  }

  static void browse() throws Exception {
    Connection connection = connect(null, "");
    Session session = session(connection);
    Queue queue = session.createQueue("jms.browse");
    MessageProducer producer = session.createProducer(queue);
    // More than the library prefetches, and more bytes than the broker hands over at once; not persistent, since it is not the disk that is asked here.
    String rest = "x".repeat(1000);
    producer.setDeliveryMode(DeliveryMode.NON_PERSISTENT);
    for (int i = 0; i < 1500; i++) producer.send(session.createTextMessage(i + rest));
    for (int round = 0; round < 2; round++) {
      QueueBrowser browser = session.createBrowser(queue);
      java.util.Enumeration<?> seen = browser.getEnumeration();
      for (int i = 0; i < 1500; i++) {
        check(seen.hasMoreElements(), "ended at " + i);
        String text = ((TextMessage) seen.nextElement()).getText();
        check(text.equals(i + rest), "saw " + text + " at " + i);
      }
      check(!seen.hasMoreElements(), "saw more than there is");
      browser.close();
    }
    MessageConsumer consumer = session.createConsumer(queue);
    for (int i = 0; i < 1500; i++) {
      Message message = consumer.receive(5000);
      check(message != null && !message.getJMSRedelivered(), "taken or touched by the browser: " + i);
    }
    check(!session.createBrowser(queue).getEnumeration().hasMoreElements(), "an empty queue shows something");
    connection.close();
  }

  static void clientId() throws Exception {
    Connection connection = connect("jms-alone", "");
    try {
      connect("jms-alone", "");
      check(false, "a second connection of that client id");
    } catch (InvalidClientIDException expected) {
      // As it should be.
    }
    connection.close();
    connect("jms-alone", "").close();
  }

  static void time() throws Exception {
    Connection connection = connect(null, "");
    Session session = session(connection);
    Queue queue = session.createQueue("jms.time");
    MessageProducer producer = session.createProducer(queue);
    producer.setDeliveryDelay(700);
    long begun = System.nanoTime();
    producer.send(session.createTextMessage("late"));
    MessageConsumer consumer = session.createConsumer(queue);
    check(consumer.receive(WAIT) != null && System.nanoTime() - begun > 600_000_000L, "delay");
    consumer.close();
    producer.setDeliveryDelay(0);
    producer.setTimeToLive(1);
    producer.send(session.createTextMessage("gone"));
    consumer = session.createConsumer(queue);
    check(consumer.receive(300) == null, "time to live");
    connection.close();
  }

  static void listener() throws Exception {
    Connection connection = connect(null, "");
    Session session = session(connection);
    Queue queue = session.createQueue("jms.listener");
    CountDownLatch left = new CountDownLatch(1000);
    session.createConsumer(queue).setMessageListener(message -> left.countDown());
    Session sends = session(connection);
    MessageProducer producer = sends.createProducer(queue);
    // Its library waits for each persistent one, and it is not the disk that is asked here.
    producer.setDeliveryMode(DeliveryMode.NON_PERSISTENT);
    for (int i = 0; i < 1000; i++) producer.send(sends.createTextMessage("" + i));
    check(left.await(20, TimeUnit.SECONDS), "left: " + left.getCount());
    connection.close();
  }
}
