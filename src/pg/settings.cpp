#include "pg/settings.h"

#include <algorithm>
#include <bit>
#include <climits>
#include <cstring>
#include <string_view>

#include "core/choose.h"
#include "core/lease.h"
#include "pg/registry_link.h"

// Last: they take names that others want.
#include "pg/compat.h"
#include "pg/prelude.h"
#include "pg/secrecy.h"

namespace idgen::pg {

Layout instance_layout;
IssueLayout issue_layout;
int region = 0;
int lanes = 1;
int max_scopes = 64;
const char *registry = "local";
int shard = -1;
int window = 3000;
int max_lead = 10;
std::uint64_t max_lead_ticks = 10;
int max_batch = 1000000;
int clock_interval = 100;
int max_clock_skew = 60000;
int clock_confirm = 600000;
int on_clock_rollback = static_cast<int>(OnRollback::hold);
bool require_clock_sync = false;
int lease_ttl = 10000;
bool auto_drain = false;
int max_wait = 1000;
#ifdef IDGEN_INJECTION
int injection_point = 0;
#endif

namespace {

char *layout_text = nullptr;
char *epoch_text = nullptr;
char *registry_shown = nullptr;

// True once instance_layout is fixed: from then on the settings that depend on
// it are checked against it when they change.
bool layout_is_fixed = false;

bool refuse_layout(const LayoutParse &parsed) {
  if (parsed.where.empty()) {
    GUC_check_errdetail("%s", describe(parsed.fault));
  } else {
    GUC_check_errdetail("At \"%.*s\": %s", static_cast<int>(parsed.where.size()),
                        parsed.where.data(), describe(parsed.fault));
  }
  GUC_check_errhint("Write it as in \"%s\".", kDefaultLayout.data());
  return false;
}

// A layout to issue in, as idgen.layout has it: a definition, or the name of the
// one that is known by a name.
LayoutParse parse_issued(const char *text, std::int64_t epoch_us) {
  LayoutParse parsed = parse_layout(text == kJs53Name ? kJs53Layout : text, epoch_us);
  if (parsed.ok()) parsed.fault = is_issuable(parsed.layout);
  return parsed;
}

bool check_layout(char **value, void **, GucSource) {
  // While the server starts, the epoch may not be known yet; then 0 will do, and
  // configured_layout() checks the two together.
  const LayoutParse parsed = parse_issued(*value, instance_layout.epoch_us);
  return parsed.ok() || refuse_layout(parsed);
}

bool check_epoch(char **value, void **, GucSource) {
  if (parse_epoch(*value).ok) return true;
  GUC_check_errdetail(
      "An epoch is a date and time in UTC from 1970 on, as in \"%s\", or milliseconds of Unix "
      "time, 12 digits at least.",
      kDefaultEpoch.data());
  return false;
}

// A prefix left out would be that of some other fleet. The parser of such URLs refuses it,
// too, but only in the worker.
bool lacks_prefix(std::string_view url) {
  constexpr std::string_view scheme = "etcd://";
  if (!url.starts_with(scheme)) return false;
  url.remove_prefix(scheme.size());
  url.remove_prefix(std::min(url.find_first_of("/?"), url.size()));
  const std::string_view path = url.substr(0, url.find('?'));
  return path.find_first_not_of('/') == std::string_view::npos;
}

// What follows is the worker's to understand, with libraries that are not here.
// The setting's value is what may be shown of it; the rest is on the side.
bool check_registry(char **value, void **extra, GucSource) {
  if (lacks_prefix(*value)) {
    GUC_check_errmsg("invalid value for parameter \"%s\"", "idgen.registry");
    GUC_check_errdetail("An etcd URL must name a key prefix, which is the name of the fleet.");
    GUC_check_errhint(
        "Append the prefix to the hosts, as in \"etcd://etcd1:2379,etcd2:2379/orders\". Version "
        "0.1.0 used \"idgen\" if none was given.");
    return false;
  }
  bool known = strcmp(*value, "local") == 0;
  for (const std::string_view scheme : {"postgresql://", "postgres://", "etcd://"}) {
    known = known || std::string_view(*value).starts_with(scheme);
  }
  if (known) {
    char *shown = setting_strdup(shown_registry(*value));
    *extra = *value;
    *value = shown;
    return true;
  }
  // Not the value itself: it may hold a password.
  GUC_check_errmsg("invalid value for parameter \"%s\"", "idgen.registry");
  GUC_check_errdetail(
      "A registry is \"local\", or a URL that starts with postgresql:// or etcd://.");
  return false;
}

void assign_registry(const char *, void *extra) {
  registry = extra == nullptr ? "local" : static_cast<const char *>(extra);
}

// What the layout allows of a setting: null if the value is fine, else the
// detail of the error.
const char *window_fault(int ms) {
  if (issue_layout.ticks_covering(ms_to_ns(ms)) >= kMinWindowTicks) return nullptr;
  return psprintf("A window must cover at least %d ticks of the layout, which are %lld us each.",
                  static_cast<int>(kMinWindowTicks),
                  static_cast<long long>(instance_layout.tick_us));
}

const char *region_fault(int value) {
  const Field field = instance_layout.region;
  if (field.fits(static_cast<std::uint64_t>(value))) return nullptr;
  return psprintf("The layout has %d bits of region: 0 to %d are allowed.", field.width,
                  static_cast<int>(field.max()));
}

const char *shard_fault(int value) {
  const Field field = instance_layout.shard;
  if (value == -1) return nullptr;
  if (!field.fits(static_cast<std::uint64_t>(value))) {
    return psprintf("The layout has %d bits of shard: 0 to %d are allowed, or -1 for any.",
                    field.width, static_cast<int>(field.max()));
  }
  if (value % lanes == 0) return nullptr;
  return psprintf(
      "A pinned shard is the first of its block: a multiple of idgen.lanes, which is %d.", lanes);
}

const char *lanes_fault(int value) {
  const int most = static_cast<int>(
      std::min<std::uint64_t>(std::uint64_t{1} << kMaxLog2Lanes, instance_layout.shard.max() + 1));
  if (value <= most && (value & (value - 1)) == 0) return nullptr;
  return psprintf("The number of lanes is a power of two, in this layout up to %d.", most);
}

template <const char *(*fault_of)(int)>
bool check_against_layout(int *value, void **, GucSource) {
  const char *fault = layout_is_fixed ? fault_of(*value) : nullptr;
  if (fault == nullptr) return true;
  GUC_check_errdetail("%s", fault);
  GUC_check_errhint(
      "To change it together with idgen.layout or idgen.lanes, edit the configuration file and "
      "restart the server.");
  return false;
}

void assign_max_lead(int value, void *) {
  max_lead_ticks = issue_layout.ticks_covering(ms_to_ns(value));
}

struct IntSetting {
  const char *name;
  const char *what;
  const char *more;
  int *variable;
  int default_value;
  int min;
  int max;
  GucContext context;
  int flags;
  GucIntCheckHook check;
  GucIntAssignHook assign;
};

constexpr int kHourMs = 3600 * 1000;

const IntSetting int_settings[] = {
    {"idgen.region", "Region part of this instance's node.",
     "The node is region and shard together; the layout gives the widths.", &region, 0, 0, INT_MAX,
     PGC_POSTMASTER, 0, check_against_layout<region_fault>, nullptr},
    {"idgen.lanes", "How many nodes this instance holds, as one aligned block.",
     "A power of two up to 64. Each adds the layout's IDs per tick.", &lanes, 1, 1, 64,
     PGC_POSTMASTER, 0, check_against_layout<lanes_fault>, nullptr},
    {"idgen.max_scopes", "How many scopes can be in use at once, in all databases together.",
     "Each takes some 128 bytes of shared memory for each process that there can be.", &max_scopes,
     64, 0, 4096, PGC_POSTMASTER, 0, nullptr, nullptr},
    {"idgen.shard", "Shard part of this instance's node; -1 leaves it to the registry.",
     "A pinned shard must not be pinned anywhere else.", &shard, -1, -1, INT_MAX, PGC_SIGHUP, 0,
     check_against_layout<shard_fault>, nullptr},
    {"idgen.lease_window", "How far ahead of issuing time the durable ceiling is set.",
     "Issuing goes on for at least half of it when the registry cannot be written.", &window, 3000,
     10, kHourMs, PGC_SIGHUP, GUC_UNIT_MS, check_against_layout<window_fault>, nullptr},
    {"idgen.max_lead", "How far IDs may run ahead of the clock before callers wait.",
     "Long batches stop at half of it.", &max_lead, 10, 1, 10000, PGC_SIGHUP, GUC_UNIT_MS, nullptr,
     assign_max_lead},
    {"idgen.max_batch", "Greatest number of IDs that one call may ask for.",
     "Of snowflake_batch, snowflake_reserve and snowflake_reserve_run.", &max_batch, 1000000, 1,
     INT_MAX, PGC_SIGHUP, 0, nullptr, nullptr},
    {"idgen.clock_interval", "How often the worker samples the clock.", nullptr, &clock_interval,
     100, 10, 10000, PGC_SIGHUP, GUC_UNIT_MS, nullptr, nullptr},
    {"idgen.max_clock_skew",
     "A wall clock further ahead of issuing time than this is not followed at once.", nullptr,
     &max_clock_skew, 60000, 100, INT_MAX, PGC_SIGHUP, GUC_UNIT_MS, nullptr, nullptr},
    {"idgen.clock_confirm",
     "How long such a wall clock must have stayed there until it is followed.", nullptr,
     &clock_confirm, 600000, 1000, INT_MAX, PGC_SIGHUP, GUC_UNIT_MS, nullptr, nullptr},
    {"idgen.lease_ttl",
     "How long this instance counts as alive in its fleet without extending its lease.",
     "Then another may take its node. Never shorter than idgen.lease_window.", &lease_ttl, 10000,
     1000, kHourMs, PGC_SIGHUP, GUC_UNIT_MS, nullptr, nullptr},
    {"idgen.max_wait", "How long a call waits until it can be issued an ID.",
     "Counted per wait; then the call fails with SQLSTATE IDG03.", &max_wait, 1000, 0, INT_MAX,
     PGC_USERSET, GUC_UNIT_MS, nullptr, nullptr},
};

struct StringSetting {
  const char *name;
  const char *what;
  const char *more;
  char **variable;
  const char *default_value;
  GucContext context;
  int flags;
  GucStringCheckHook check;
  GucStringAssignHook assign;
};

const StringSetting string_settings[] = {
    {"idgen.layout", "The layout of IDs, for a new cluster.",
     "Recorded at the first start; from then on the recorded value is the default.", &layout_text,
     kDefaultLayout.data(), PGC_POSTMASTER, 0, check_layout, nullptr},
    {"idgen.epoch", "The time that IDs count from, for a new cluster.",
     "Recorded at the first start; from then on the recorded value is the default.", &epoch_text,
     kDefaultEpoch.data(), PGC_POSTMASTER, 0, check_epoch, nullptr},
    {"idgen.registry", "Where node IDs and ceilings are kept.",
     "\"local\", or the URL of a fleet's coordinator: postgresql://... or etcd://...",
     &registry_shown, "local", PGC_SIGHUP, GUC_SUPERUSER_ONLY, check_registry, assign_registry},
};

const config_enum_entry rollback_policies[] = {
    {"hold", static_cast<int>(OnRollback::hold), false},
    {"rotate", static_cast<int>(OnRollback::rotate), false},
    {"stop", static_cast<int>(OnRollback::stop), false},
    {nullptr, 0, false},
};

// A setting in the configuration file is a placeholder until it is defined.
// PostgreSQL warns about one that is then refused, and goes on with the
// default. We don't.
[[noreturn]] void stop_start(const char *name, const char *value) {
  if (strcmp(name, "idgen.registry") == 0) {  // its value may hold a password
    ereport(FATAL, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("invalid value for parameter \"%s\"", name),
                    errhint("The message before this one says what is allowed.")));
  }
  ereport(FATAL, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                  errmsg("invalid value for parameter \"%s\": \"%s\"", name, value),
                  errhint("The message before this one says what is allowed.")));
  pg_unreachable();
}

void define(const IntSetting &s) {
  const char *given = GetConfigOption(s.name, true, false);
  if (given != nullptr) given = pstrdup(given);
  DefineCustomIntVariable(s.name, s.what, s.more, s.variable, s.default_value, s.min, s.max,
                          s.context, s.flags, s.check, s.assign, nullptr);
  int value = 0;
  if (given != nullptr && (!parse_int(given, &value, s.flags, nullptr) || value != *s.variable)) {
    stop_start(s.name, given);
  }
}

void define(const StringSetting &s) {
  const char *given = GetConfigOption(s.name, true, false);
  if (given != nullptr) given = pstrdup(given);
  DefineCustomStringVariable(s.name, s.what, s.more, s.variable, s.default_value, s.context,
                             s.flags, s.check, s.assign, nullptr);
  const char *taken = s.variable == &registry_shown ? registry : *s.variable;
  if (given != nullptr && strcmp(given, taken) != 0) stop_start(s.name, given);
}

void define_on_clock_rollback() {
  constexpr char name[] = "idgen.on_clock_rollback";
  const char *given = GetConfigOption(name, true, false);
  if (given != nullptr) given = pstrdup(given);
  DefineCustomEnumVariable(
      name, "What to do when the wall clock is far behind issuing time.",
      "\"hold\" goes on ahead of it, \"rotate\" follows it with a fresh node, \"stop\" refuses.",
      &on_clock_rollback, on_clock_rollback, rollback_policies, PGC_SIGHUP, 0, nullptr, nullptr,
      nullptr);
  if (given != nullptr && pg_strcasecmp(given, GetConfigOption(name, false, false)) != 0) {
    stop_start(name, given);
  }
}

void define_bool(const char *name, const char *what, const char *more, bool *variable) {
  const char *given = GetConfigOption(name, true, false);
  if (given != nullptr) given = pstrdup(given);
  DefineCustomBoolVariable(name, what, more, variable, false, PGC_SIGHUP, 0, nullptr, nullptr,
                           nullptr);
  bool value = false;
  if (given != nullptr && (!parse_bool(given, &value) || value != *variable)) {
    stop_start(name, given);
  }
}

// idgen.layout and idgen.epoch; null: not set.
struct LayoutTexts {
  const char *layout;
  const char *epoch;
};

// Fills in what is not set: from the instance's own record, so that an instance goes on
// in the layout that it has, whatever the default of this version is.
LayoutTexts with_defaults(LayoutTexts set) {
  if (set.layout != nullptr && set.epoch != nullptr) return set;
  const RecordedLayout recorded = read_recorded_layout();
  if (recorded.layout.length > 0) {
    if (set.layout == nullptr) set.layout = pstrdup(recorded.layout.text);
    if (set.epoch == nullptr) set.epoch = pstrdup(recorded.epoch.text);
    return set;
  }
  if (set.layout == nullptr) set.layout = kDefaultLayout.data();
  if (set.epoch == nullptr) {
    set.epoch = (set.layout == kJs53Name ? kJs53Epoch : kDefaultEpoch).data();
  }
  return set;
}

// Shows in idgen.layout and idgen.epoch what is used where they are not set.
void show_defaults(const LayoutTexts &set) {
  const LayoutTexts used = with_defaults(set);
  const auto show = [](const char *name, const char *is_set, const char *value) {
    if (is_set == nullptr) SetConfigOption(name, value, PGC_POSTMASTER, PGC_S_DYNAMIC_DEFAULT);
  };
  show("idgen.layout", set.layout, used.layout);
  show("idgen.epoch", set.epoch, used.epoch);
}

LayoutParse parse_configured(const char *layout, const char *epoch) {
  const EpochParse parsed_epoch = parse_epoch(epoch);
  if (!parsed_epoch.ok) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("invalid value for parameter \"%s\": \"%s\"", "idgen.epoch", epoch)));
  }
  return parse_issued(layout, parsed_epoch.unix_us);
}

}  // namespace

Layout configured_layout() {
  // In a server that preloads us these are the checked settings; elsewhere
  // whatever the configuration file holds, or nothing.
  const LayoutTexts texts = with_defaults(
      {GetConfigOption("idgen.layout", true, false), GetConfigOption("idgen.epoch", true, false)});
  const char *layout = texts.layout;
  const LayoutParse parsed = parse_configured(layout, texts.epoch);
  if (!parsed.ok()) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("invalid value for parameter \"%s\": \"%s\"", "idgen.layout", layout),
                    errdetail("%s", describe(parsed.fault))));
  }
  return parsed.layout;
}

bool registry_is_local() {
  return strcmp(registry, "local") == 0;
}

KeeperPolicy keeper_policy() {
  KeeperPolicy policy;
  policy.window = ms_to_ns(window);
  policy.max_skew = ms_to_ns(max_clock_skew);
  policy.confirm = ms_to_ns(clock_confirm);
  policy.interval = ms_to_ns(clock_interval);
  policy.on_rollback = static_cast<OnRollback>(on_clock_rollback);
  policy.require_sync = require_clock_sync;
  policy.region = region;
  policy.shard = shard;
  policy.shard_mask = instance_layout.shard.max();
  policy.log2_lanes = static_cast<std::uint8_t>(std::countr_zero(static_cast<unsigned>(lanes)));
  policy.lease_ttl = ms_to_ns(lease_ttl);
  policy.auto_drain = auto_drain;
  return policy;
}

void define_settings() {
  // Before they are defined: afterwards each has a value.
  const auto placeholder = [](const char *name) {
    const char *value = GetConfigOption(name, true, false);
    return value == nullptr ? nullptr : pstrdup(value);
  };
  const LayoutTexts set = {placeholder("idgen.layout"), placeholder("idgen.epoch")};
  for (const StringSetting &s : string_settings) define(s);
  for (const IntSetting &s : int_settings) define(s);
  define_on_clock_rollback();
  define_bool("idgen.require_clock_sync",
              "Issue only while the kernel says that its clock is synchronized.", nullptr,
              &require_clock_sync);
  define_bool("idgen.auto_drain", "Release the node while the system's clock cannot be trusted.",
              "That is, while its state is rollback (and not followed) or suspect.", &auto_drain);
#ifdef IDGEN_INJECTION
  DefineCustomIntVariable("idgen.injection_point", "Where calls of this session stop.", nullptr,
                          &injection_point, 0, 0, 4, PGC_USERSET, 0, nullptr, nullptr, nullptr);
#endif
  MarkGUCPrefixReserved("idgen");

  show_defaults(set);
  instance_layout = configured_layout();
  issue_layout = IssueLayout::of(instance_layout);
  assign_max_lead(max_lead, nullptr);

  // What depends on two settings can only be checked now.
  const auto require = [](const char *name, int value, const char *fault) {
    if (fault == nullptr) return;
    ereport(FATAL, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("invalid value for parameter \"%s\": %d", name, value),
                    errdetail("%s", fault)));
  };
  require("idgen.region", region, region_fault(region));
  require("idgen.lanes", lanes, lanes_fault(lanes));
  require("idgen.shard", shard, shard_fault(shard));
  require("idgen.lease_window", window, window_fault(window));
  layout_is_fixed = true;
}

}  // namespace idgen::pg
