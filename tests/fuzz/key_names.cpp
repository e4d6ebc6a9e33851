// Harness: converts keys to the names of keys in Redis, and back.
#include "src/entry/key.hpp"
#include "src/redis/names.hpp"
#include "src/redis/slots.hpp"
#include "tests/fuzz/harness.hpp"

namespace memolock::fuzz {
namespace {

void look_at(const Key& key, BracedId braced_id) {
  const RedisNames names(key, braced_id);
  for (const std::string& name :
       {names.value, names.lock, names.meta, names.run_state, names.mark}) {
    const auto back = parse_redis_name(name, braced_id);
    require(back && back->tag == key.tag, "the name of a key contains its tag");
    require(RedisNames(*back, braced_id).value == names.value, "and its entry");
    require(braced_id == BracedId::yes || back->id == key.id, "and, unbraced, its very id");
    require(braced_id == BracedId::no || slot_of(name) == slot_of(names.value),
            "and lies in its slot");
  }
}

/// The input is TAG:ID, or any name on a server.
const Harness key_names("key_names", [](std::string_view text) {
  (void)parse_redis_name(text, BracedId::yes);
  const auto key = parse_redis_name(text, BracedId::no);
  if (!key || key->id.find('\0') != std::string::npos) return;
  look_at(*key, BracedId::no);
  if (!check_id_in_cluster(key->id)) look_at(*key, BracedId::yes);
});

}  // namespace
}  // namespace memolock::fuzz
