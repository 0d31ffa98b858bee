// What Hibernate promises: as common.js checks it.
import java.util.*;
import javax.persistence.*;
import org.hibernate.Session;
import org.hibernate.SessionFactory;
import org.hibernate.cfg.Configuration;

// [page]
@Entity
@Table(name = "orders")
class Order {
  @Id
  @GeneratedValue(strategy = GenerationType.IDENTITY)
  @Column(columnDefinition = "snowflakeid")
  Long id;
  String item;
}
// [end]

public class HibernateOrm {
  static final long ODD = 9007199254740993L;  // beyond 2^53, and odd: a double makes another number of it
  static final long NEW_YEAR = 2117794686566400000L;
  static boolean failed;
  static Session session;

  static void same(Object got, Object wanted, String promise) {
    if (got.equals(wanted)) {
      System.out.println("ok " + promise);
    } else {
      System.out.println("not ok " + promise + "\n# got " + got + ", wanted " + wanted);
      failed = true;
    }
  }

  static List<String> query(String sql) {
    List<String> rows = new ArrayList<>();
    for (Object row : session.createSQLQuery(sql).list()) rows.add(String.valueOf(row));
    return rows;
  }

  static Order insert(String item) {
    // [page]
    Order order = new Order();
    order.item = item;
    session.save(order);
    // [end]
    session.flush();
    return order;
  }

  static Order find(long id) {
    // [page]
    Order found = (Order) session.get(Order.class, id);
    // [end]
    return found;
  }

  static List<String> findAll(Collection<Long> ids) {
    // [page]
    List<?> some = session.createQuery("from Order where id in (:ids)")
        .setParameterList("ids", ids).list();
    // [end]
    return items(some);
  }

  static List<String> between(Date from, Date to) {
    // [page]
    List<?> recent = session.createQuery(
            "from Order where id >= snowflake_min(:from) and id < snowflake_min(:to)")
        .setTimestamp("from", from).setTimestamp("to", to).list();
    // [end]
    return items(recent);
  }

  static List<String> items(List<?> orders) {
    List<String> items = new ArrayList<>();
    for (Object order : orders) items.add(((Order) order).item);
    Collections.sort(items);
    return items;
  }

  static void execute(String sql) { session.createSQLQuery(sql).executeUpdate(); }

  static SessionFactory factory() {
    return new Configuration().addAnnotatedClass(Order.class)
        .setProperty("hibernate.connection.url", System.getenv("IDGEN_JDBC_URL"))
        .setProperty("hibernate.dialect", "org.hibernate.dialect.PostgreSQLDialect")
        .setProperty("hibernate.hbm2ddl.auto", "validate")
        .buildSessionFactory();
  }

  static void program() throws java.sql.SQLException {
    try (java.sql.Connection db = java.sql.DriverManager.getConnection(System.getenv("IDGEN_JDBC_URL"))) {
      db.createStatement().execute("CREATE TABLE orders (id snowflakeid PRIMARY KEY DEFAULT snowflake_id(), item varchar(255))");
    }
    session = factory().openSession();
    System.out.println("ok hbm2ddl finds the column valid");  // or factory() has failed
    session.beginTransaction();
    execute("INSERT INTO orders (id, item) VALUES (" + (ODD - 1) + ", 'even'), (" + ODD + ", 'odd'), "
        + "(snowflake_min('2026-01-01 UTC'), 'new year'), (snowflake_min('2026-01-01 00:00:01 UTC'), 'a second later')");
    same(List.of(Long.toString(insert("tea").id)), query("SELECT CAST(id AS text) FROM orders WHERE item = 'tea'"), "an insert gives the ID with every digit");
    Order found = find(ODD);
    same(found.id + " " + found.item, ODD + " odd", "a row is found by its ID, and not its neighbor");
    same(findAll(List.of(ODD, NEW_YEAR)), List.of("new year", "odd"), "an IN list finds its rows");
    Date start = Date.from(java.time.Instant.parse("2026-01-01T00:00:00Z"));
    same(between(start, new Date(start.getTime() + 1000)), List.of("new year"), "a range of time finds its rows");
    List<String> ids = new ArrayList<>();
    for (String item : List.of("milk", "sugar", "lemon")) ids.add(Long.toString(insert(item).id));
    same(new HashSet<>(ids).size(), 3, "each row of a batch has an ID of its own");
    same(ids, query("SELECT CAST(id AS text) FROM orders WHERE item IN ('milk', 'sugar', 'lemon') ORDER BY id"), "and they are those of the table");
    session.getTransaction().commit();
    session.close();
  }

  public static void main(String[] arguments) {
    try {
      program();
    } catch (Throwable error) {
      System.out.println("not ok it runs: " + error);
      error.printStackTrace(System.out);
      failed = true;
    }
    System.exit(failed ? 1 : 0);
  }
}
