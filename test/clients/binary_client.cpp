// What a driver that talks the binary format sees of snowflakeids: int8's eight bytes, under the
// type's own OID or int8's. Prints a line "ok" or "not ok" for each promise.
//
//   binary_client CONNINFO      a database with idgen
//
// Exit code: 0 all promises hold, 1 one doesn't, 2 the run itself failed.

#include <libpq-fe.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr Oid kInt8 = 20;
constexpr Oid kInt8Array = 1016;
constexpr int kBinary = 1;

using Ids = std::vector<std::int64_t>;
const Ids kIds = {std::numeric_limits<std::int64_t>::min(),
                  -1,
                  0,
                  (std::int64_t{1} << 53) + 1,
                  1541815603606036480,
                  std::numeric_limits<std::int64_t>::max()};

int failed = 0;

void check(bool holds, const std::string &promise) {
  std::printf("%s %s\n", holds ? "ok" : "not ok", promise.c_str());
  if (!holds) ++failed;
}

// Big-endian, as the protocol has it.
template <typename Integer>
void append(std::string &to, Integer value) {
  for (int shift = static_cast<int>(sizeof value) * 8 - 8; shift >= 0; shift -= 8) {
    to.push_back(static_cast<char>(static_cast<std::uint64_t>(value) >> shift & 0xff));
  }
}

// Reads numbers off the front. What is too short reads as 0, and is noted.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  template <typename Integer>
  Integer take() {
    if (bytes_.size() < sizeof(Integer)) {
      bytes_ = {};
      good_ = false;
      return 0;
    }
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(Integer); ++i) {
      value = value << 8 | static_cast<unsigned char>(bytes_[i]);
    }
    bytes_.remove_prefix(sizeof(Integer));
    return static_cast<Integer>(value);
  }

  bool skip(std::string_view expected) {
    good_ = good_ && bytes_.starts_with(expected);
    if (good_) bytes_.remove_prefix(expected.size());
    return good_;
  }
  bool at_end() const { return good_ && bytes_.empty(); }
  bool good() const { return good_; }

 private:
  std::string_view bytes_;
  bool good_ = true;
};

std::string as_bytes(std::int64_t id) {
  std::string bytes;
  append(bytes, id);
  return bytes;
}

// An array of one dimension without NULLs, as array_send writes it.
std::string as_array(const Ids &ids, Oid element) {
  std::string bytes;
  append(bytes, std::int32_t{1});
  append(bytes, std::int32_t{0});
  append(bytes, element);
  append(bytes, static_cast<std::int32_t>(ids.size()));
  append(bytes, std::int32_t{1});
  for (const std::int64_t id : ids) {
    append(bytes, std::int32_t{8});
    append(bytes, id);
  }
  return bytes;
}

struct Clear {
  void operator()(PGresult *result) const { PQclear(result); }
  void operator()(PGconn *connection) const { PQfinish(connection); }
};
using Result = std::unique_ptr<PGresult, Clear>;

class Session {
 public:
  explicit Session(const char *conninfo) : connection_(PQconnectdb(conninfo)) {
    if (PQstatus(connection_.get()) != CONNECTION_OK) give_up();
  }

  PGconn *connection() const { return connection_.get(); }

  // Parameter and result in binary; whatever comes of it.
  Result try_with(const char *sql, Oid type, const std::string &parameter) const {
    const char *const values[] = {parameter.data()};
    const int lengths[] = {static_cast<int>(parameter.size())};
    const int formats[] = {kBinary};
    return Result(
        PQexecParams(connection_.get(), sql, 1, &type, values, lengths, formats, kBinary));
  }

  Result with(const char *sql, Oid type, const std::string &parameter) const {
    return succeeded(try_with(sql, type, parameter));
  }

  Result query(const char *sql) const {
    return succeeded(Result(
        PQexecParams(connection_.get(), sql, 0, nullptr, nullptr, nullptr, nullptr, kBinary)));
  }

  // Of one row and one column, as text.
  std::string text(const char *sql) const {
    const Result result = succeeded(Result(PQexec(connection_.get(), sql)));
    return PQgetvalue(result.get(), 0, 0);
  }

  [[noreturn]] void give_up() const {
    std::fprintf(stderr, "%s", PQerrorMessage(connection_.get()));
    std::exit(2);
  }

 private:
  Result succeeded(Result result) const {
    const ExecStatusType status = PQresultStatus(result.get());
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_COPY_OUT) {
      give_up();
    }
    return result;
  }

  std::unique_ptr<PGconn, Clear> connection_;
};

std::string_view field(const Result &result, int row, int column) {
  return {PQgetvalue(result.get(), row, column),
          static_cast<std::size_t>(PQgetlength(result.get(), row, column))};
}

// The IDs of a column, read from binary and from the text beside it, agree with those wanted.
bool agree(const Result &result, const Ids &wanted) {
  if (PQntuples(result.get()) != static_cast<int>(wanted.size())) return false;
  for (int row = 0; row < PQntuples(result.get()); ++row) {
    const std::int64_t id = wanted[static_cast<std::size_t>(row)];
    if (field(result, row, 0) != as_bytes(id) || field(result, row, 1) != std::to_string(id)) {
      return false;
    }
  }
  return true;
}

struct Types {
  Oid own = 0;
  Oid array = 0;
};

void check_parameters(const Session &session, const Types &types) {
  for (const Oid type : {types.own, kInt8, Oid{0}}) {
    const std::string name = type == types.own ? "its own OID" : type == kInt8 ? "int8" : "no OID";
    session.query("TRUNCATE ids");
    bool returned = true;
    for (const std::int64_t id : kIds) {
      const Result result =
          session.with("INSERT INTO ids VALUES ($1) RETURNING id, id::text", type, as_bytes(id));
      returned = returned && agree(result, {id});
    }
    check(returned, "sent as " + name + ", it is stored as it was");
    bool found = true;
    for (const std::int64_t id : kIds) {
      found = found &&
              agree(session.with("SELECT id, id::text FROM ids WHERE id = $1", type, as_bytes(id)),
                    {id});
    }
    check(found, "and is found as " + name);
    check(agree(session.with("SELECT id, id::text FROM ids WHERE id > $1 ORDER BY ids.id", type,
                             as_bytes(0)),
                {kIds[3], kIds[4], kIds[5]}),
          "in order");
  }
  for (const std::size_t length : {std::size_t{4}, std::size_t{9}}) {
    const Result result = session.try_with("SELECT $1", types.own, std::string(length, '\0'));
    const char *state = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
    check(state != nullptr && std::string_view(state) == (length < 8 ? "08P01" : "22P03"),
          std::to_string(length) + " bytes are refused");
  }
}

void check_results(const Session &session, const Types &types) {
  const Result result = session.query("SELECT id, id::text, id::bigint FROM ids ORDER BY ids.id");
  check(PQftype(result.get(), 0) == types.own && PQftype(result.get(), 2) == kInt8,
        "a result has the type's own OID, cast to bigint int8's");
  check(PQfsize(result.get(), 0) == 8 && PQfformat(result.get(), 0) == kBinary, "and eight bytes");
  check(agree(result, kIds), "which say what the text says");
  bool same = true;
  for (int row = 0; row < PQntuples(result.get()); ++row) {
    same = same && field(result, row, 0) == field(result, row, 2);
  }
  check(same, "and what bigint's say");
}

void check_arrays(const Session &session, const Types &types) {
  struct Case {
    Oid type, element;
    const char *name;
  };
  for (const Case &c :
       {Case{types.array, types.own, "snowflakeid[]"}, Case{kInt8Array, kInt8, "int8[]"},
        Case{types.array, kInt8, "snowflakeid[] with elements that are called int8"}}) {
    const std::string name = std::string("an array sent as ") + c.name;
    check(agree(session.with("SELECT id, id::text FROM ids WHERE id = ANY ($1) ORDER BY ids.id",
                             c.type, as_array({kIds[3], kIds[5]}, c.element)),
                {kIds[3], kIds[5]}),
          name + " finds its rows");
    const Result stored = session.with("INSERT INTO lists VALUES ($1) RETURNING list, list::text",
                                       c.type, as_array({5, kIds[5]}, c.element));
    check(PQftype(stored.get(), 0) == types.array &&
              field(stored, 0, 0) == as_array({5, kIds[5]}, types.own) &&
              field(stored, 0, 1) == "{5,9223372036854775807}",
          name + " comes back as snowflakeid[]");
  }
}

// The signature, flags, extension; rows of one field; the trailer.
void check_copy(const Session &session) {
  session.query("COPY (SELECT id FROM ids ORDER BY id) TO STDOUT (FORMAT binary)");
  std::string bytes;
  char *chunk = nullptr;
  int length = 0;
  while ((length = PQgetCopyData(session.connection(), &chunk, 0)) > 0) {
    bytes.append(chunk, static_cast<std::size_t>(length));
    PQfreemem(chunk);
  }
  if (length != -1) session.give_up();
  PQclear(PQgetResult(session.connection()));

  Reader reader(bytes);
  reader.skip(std::string_view("PGCOPY\n\377\r\n\0", 11));
  const bool header = reader.take<std::int32_t>() == 0 && reader.take<std::int32_t>() == 0;
  Ids ids;
  while (reader.good() && reader.take<std::int16_t>() == 1 && reader.take<std::int32_t>() == 8) {
    ids.push_back(reader.take<std::int64_t>());
  }
  check(header && reader.at_end() && ids == kIds, "COPY in binary writes the same bytes");
}

}  // namespace

int main(int argc, char **argv) {
  if (argc != 2) {
    std::fprintf(stderr, "binary_client CONNINFO\n");
    return 2;
  }
  const Session session(argv[1]);
  session.query("CREATE TEMPORARY TABLE ids (id snowflakeid PRIMARY KEY)");
  session.query("CREATE TEMPORARY TABLE lists (list snowflakeid[])");
  const auto oid_of = [&](const char *sql) {
    return static_cast<Oid>(std::stoul(session.text(sql)));
  };
  const Types types = {oid_of("SELECT 'snowflakeid'::regtype::oid"),
                       oid_of("SELECT 'snowflakeid[]'::regtype::oid")};

  check_parameters(session, types);
  check_results(session, types);
  check_arrays(session, types);
  check_copy(session);
  return failed == 0 ? 0 : 1;
}
