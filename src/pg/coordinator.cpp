// What the functions that write a fleet have from the library.

#include "pg/coordinator.h"

#include "pg/errors.h"

IDGEN_SQL_FUNCTION(idgen_fleet_writing);

namespace {

bool fleet_writing = false;

}  // namespace

namespace idgen::pg {

void define_fleet_writing() {
  DefineCustomBoolVariable("idgen.fleet_writing", "A function of the extension writes the fleet.",
                           nullptr, &fleet_writing, false, PGC_SUSET,
                           GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE, nullptr,
                           nullptr, nullptr);
}

}  // namespace idgen::pg

Datum idgen_fleet_writing(PG_FUNCTION_ARGS) {
  (void)fcinfo;
  PG_RETURN_BOOL(fleet_writing);
}
