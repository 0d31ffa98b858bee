// Instances in `local` mode, each by itself: copies, restores and backups of data
// directories, and the instance's own record as all there is.

#ifndef IDGEN_TEST_SIM_LOCAL_WORLD_H
#define IDGEN_TEST_SIM_LOCAL_WORLD_H

#include <map>
#include <memory>

#include "world.h"

namespace idgen::sim {

class LocalWorld final : public World {
 public:
  LocalWorld(std::uint64_t seed, Mutant mutant, bool trace);

 private:
  void begin() override;
  void chaos() override;
  bool is_spent() const override;
  void on_start(Instance &instance) override;
  bool all_is_well() override;
  std::unique_ptr<Registry> open_registry(Instance &instance) override;
  void on_end(Instance &instance) override;
  void on_worker_step(Instance &instance) override;
  void on_resume(Instance &instance, Grant &grant) override;
  void tamper(RegistryRequest &ask, Instance &instance) override;
  void put_right(Instance &instance) override;
  bool poll(Instance &instance) override;
  void on_reply(Instance &instance) override;
  void on_publish(Instance &instance, const Grant &grant, bool acquired) override;

  void copy(Instance &from, bool in_place);
  void confirm_copy(Instance &instance);
  void check_disk(Instance &instance);
  void begin_unvouched(RegistryRequest &ask, Instance &instance);
  void lose_record(const RegistryRequest &ask, Instance &instance);
  void check_published(Instance &instance, std::uint32_t node, const Grant &grant, bool acquired);
  std::uint64_t max_draws() const;

  std::uint64_t draws_ = 0;
  bool has_boot_ids_ = true;
  bool has_lanes_ = false;                                   // instances that hold blocks of nodes
  std::map<int, std::unique_ptr<Registry>> old_registries_;  // Mutant::old_life_writes
};

}  // namespace idgen::sim

#endif  // IDGEN_TEST_SIM_LOCAL_WORLD_H
