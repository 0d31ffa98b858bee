// What JDBC promises: as common.js checks it.
import java.sql.*;
import java.time.*;
import java.util.*;

class Jdbc {
  static final long ODD = 9007199254740993L;  // beyond 2^53, and odd: a double makes another number of it
  static final long NEW_YEAR = 2117794686566400000L;
  static boolean failed;
  static Connection db;

  static void same(Object got, Object wanted, String promise) {
    if (got.equals(wanted)) {
      System.out.println("ok " + promise);
    } else {
      System.out.println("not ok " + promise + "\n# got " + got + ", wanted " + wanted);
      failed = true;
    }
  }

  static List<String> query(String sql) throws SQLException {
    List<String> rows = new ArrayList<>();
    try (Statement statement = db.createStatement(); ResultSet found = statement.executeQuery(sql)) {
      while (found.next()) rows.add(found.getString(1));
    }
    return rows;
  }

  static long insert(String item) throws SQLException {
    // [page]
    PreparedStatement insert = db.prepareStatement("INSERT INTO orders (item) VALUES (?)", new String[] {"id"});
    insert.setString(1, item);
    insert.executeUpdate();
    ResultSet key = insert.getGeneratedKeys();
    key.next();
    long id = key.getLong("id");
    // [end]
    return id;
  }

  static String find(long id) throws SQLException {
    // [page]
    PreparedStatement find = db.prepareStatement("SELECT id, item FROM orders WHERE id = ?");
    find.setLong(1, id);
    ResultSet found = find.executeQuery();
    // [end]
    found.next();
    return found.getLong("id") + " " + found.getString("item");
  }

  static List<String> findAll(Long... ids) throws SQLException {
    // [page]
    PreparedStatement list = db.prepareStatement("SELECT id, item FROM orders WHERE id = ANY (?)");
    list.setArray(1, db.createArrayOf("bigint", ids));
    ResultSet some = list.executeQuery();
    // [end]
    return items(some);
  }

  static List<String> between(OffsetDateTime from, OffsetDateTime to) throws SQLException {
    // [page]
    PreparedStatement range = db.prepareStatement(
        "SELECT id, item FROM orders WHERE id >= ?::timestamptz AND id < ?::timestamptz");
    range.setObject(1, from); // an OffsetDateTime; setTimestamp works, too
    range.setObject(2, to);
    ResultSet recent = range.executeQuery();
    // [end]
    return items(recent);
  }

  static List<String> batch(String... items) throws SQLException {
    List<String> ids = new ArrayList<>();
    // [page]
    PreparedStatement batch = db.prepareStatement("INSERT INTO orders (item) VALUES (?)", new String[] {"id"});
    for (String item : items) {
      batch.setString(1, item);
      batch.addBatch();
    }
    batch.executeBatch();
    ResultSet keys = batch.getGeneratedKeys();
    // [end]
    while (keys.next()) ids.add(Long.toString(keys.getLong("id")));
    return ids;
  }

  static List<String> items(ResultSet rows) throws SQLException {
    List<String> items = new ArrayList<>();
    while (rows.next()) items.add(rows.getString("item"));
    Collections.sort(items);
    return items;
  }

  static void program() throws SQLException {
    String url = System.getenv("IDGEN_JDBC_URL");
    // [page]
    db = DriverManager.getConnection(url);
    // [end]
    db.createStatement().execute("CREATE TABLE orders (id snowflakeid PRIMARY KEY DEFAULT snowflake_id(), item text)");
    db.createStatement().execute("INSERT INTO orders VALUES (" + (ODD - 1) + ", 'even'), (" + ODD + ", 'odd'), "
        + "(snowflake_min('2026-01-01 UTC'), 'new year'), (snowflake_min('2026-01-01 00:00:01 UTC'), 'a second later')");
    same(List.of(Long.toString(insert("tea"))), query("SELECT id::text FROM orders WHERE item = 'tea'"), "an insert gives the ID with every digit");
    same(find(ODD), ODD + " odd", "a row is found by its ID, and not its neighbor");
    same(findAll(ODD, NEW_YEAR), List.of("new year", "odd"), "an IN list finds its rows");
    OffsetDateTime start = OffsetDateTime.parse("2026-01-01T00:00:00Z");
    same(between(start, start.plusSeconds(1)), List.of("new year"), "a range of time finds its rows");
    List<String> ids = batch("milk", "sugar", "lemon");
    same(new HashSet<>(ids).size(), 3, "each row of a batch has an ID of its own");
    same(ids, query("SELECT id::text FROM orders WHERE item IN ('milk', 'sugar', 'lemon') ORDER BY id"), "and they are those of the table");

    ResultSet column = db.getMetaData().getColumns(null, null, "orders", "id");
    column.next();
    same(List.of(column.getString("TYPE_NAME"), column.getString("COLUMN_DEF"), column.getString("IS_AUTOINCREMENT")),
        List.of("snowflakeid", "snowflake_id()", "NO"), "the metadata have the type and the default");
    PreparedStatement cast = db.prepareStatement("SELECT item FROM orders WHERE id >= ?::timestamptz AND id < ?::timestamptz");
    cast.setTimestamp(1, Timestamp.from(start.toInstant()));
    cast.setTimestamp(2, Timestamp.from(start.plusSeconds(1).toInstant()));
    same(items(cast.executeQuery()), List.of("new year"), "a Timestamp works with the cast");
    PreparedStatement typed = db.prepareStatement("SELECT item FROM orders WHERE id >= ? AND id < ?");
    typed.setObject(1, start);
    typed.setObject(2, start.plusSeconds(1));
    same(items(typed.executeQuery()), List.of("new year"), "an OffsetDateTime without it, too");
    PreparedStatement untyped = db.prepareStatement("SELECT item FROM orders WHERE id >= ?");
    untyped.setTimestamp(1, Timestamp.from(start.toInstant()));
    try {
      untyped.executeQuery();
      same("it succeeds", "it fails", "a Timestamp without the cast is refused, with a hint");
    } catch (SQLException error) {
      same(error.getSQLState() + error.getMessage().contains("$1::timestamptz"), "22P02true", "a Timestamp without the cast is refused, with a hint");
    }
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
