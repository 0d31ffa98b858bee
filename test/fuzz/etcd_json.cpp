// What an etcd's gateway may answer, however wrong: what is taken for a range is
// what was sent, and base64 is strict. The input is an answer's body; base64; an
// error's message; and a member's metrics.

#include "network/etcd_json.h"

#include <string>
#include <vector>

#include "fuzz.h"
#include "network/bounded_json.h"

namespace idgen {
namespace {

using fuzz::require;

void check_base64(std::string_view text) {
  std::string bytes;
  require(from_base64(to_base64(text), bytes) && bytes == text, "bytes are read back");
  if (!from_base64(text, bytes)) return;
  require(to_base64(bytes) == text, "bytes are written in one way only");
}

template <typename T>
void check_number(const Json *object, const char *name) {
  T number = 1;
  if (!read_number(object, name, number)) return;
  const Json written = {{"n", std::to_string(number)}};
  T again = 1;
  require(read_number(&written, "n", again) && again == number, "a number is read back");
  const Json *found = member(object, name);
  require(found != nullptr || number == 0, "what is left out is 0");
  if (found != nullptr && found->is_number()) {
    require(number >= 0 && found->get<std::uint64_t>() == static_cast<std::uint64_t>(number),
            "a number is not cut to fit");
  }
}

// A range's answer, as the gateway would write it.
Json written(const std::vector<EtcdKeyValue> &found) {
  Json entries = Json::array();
  for (const EtcdKeyValue &pair : found) {
    entries.push_back({{"key", to_base64(pair.key)},
                       {"value", to_base64(pair.value)},
                       {"mod_revision", std::to_string(pair.revision)},
                       {"lease", std::to_string(pair.lease)}});
  }
  return {{"responses", {{{"response_range", {{"kvs", entries}}}}}}};
}

void check_range(const Json *answer, std::size_t index) {
  std::vector<EtcdKeyValue> found;
  if (!read_range(answer, index, found)) return;
  const Json again = written(found);
  std::vector<EtcdKeyValue> back;
  require(read_range(&again, 0, back) && back.size() == found.size(), "a range is read back");
  for (std::size_t i = 0; i < found.size(); ++i) {
    require(back[i].key == found[i].key && back[i].value == found[i].value &&
                back[i].revision == found[i].revision && back[i].lease == found[i].lease,
            "so is each of its keys");
  }
  require(!read_range(&again, 1, back), "and there is no other");
}

}  // namespace
}  // namespace idgen

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using namespace idgen;
  const std::string_view text = fuzz::text_of(data, size);
  check_base64(text);
  for (std::int64_t code = 0; code <= 17; ++code) {
    const EtcdFault fault = fault_of(code, text);
    fuzz::require(fault != EtcdFault::lease_gone || code == 5,
                  "a lease is gone only where there is no such lease");
  }

  JsonFault fault = JsonFault::none;
  const Json body = parse_bounded(text, fault);
  fuzz::require(body.is_discarded() == (fault != JsonFault::none), "what is refused is not read");
  const Json unbounded = Json::parse(text.begin(), text.end(), nullptr, false);
  fuzz::require(fault == JsonFault::none
                    ? body == unbounded
                    : fault != JsonFault::malformed || unbounded.is_discarded(),
                "within the bounds it is JSON as it stands");
  StoreSpace space;
  if (read_status(&body, space)) {
    fuzz::require(space.size >= 0 && space.in_use >= 0 && space.quota >= 0, "no size is negative");
  }
  std::int64_t quota = 0;
  if (read_quota(text, quota)) fuzz::require(quota >= 0, "nor is a quota");
  for (const Json *object : {&body, member(&body, "result"), member(&body, "header")}) {
    check_number<std::uint64_t>(object, "revision");
    check_number<std::int64_t>(object, "TTL");
    (void)read_text(object, "error");
  }
  for (std::size_t index = 0; index < 3; ++index) check_range(&body, index);
  return 0;
}
