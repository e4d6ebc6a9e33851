// Harness: converts keys to the names of keys in Redis, and back.
#include "src/entry/key.hpp"
#include "src/redis/names.hpp"
#include "src/redis/slots.hpp"
#include "tests/fuzz/harness.hpp"

namespace memolock::fuzz {
namespace {

void look_at(const Key& key, Brace brace) {
  const RedisNames names(key, brace);
  for (const std::string& name : {names.value, names.lock, names.meta, names.run, names.mark}) {
    const auto back = parse_redis_name(name, brace);
    require(back && back->tag == key.tag, "the name of a key contains its tag");
    require(RedisNames(*back, brace).value == names.value, "and its entry");
    require(brace == Brace::yes || back->id == key.id, "and, unbraced, its very id");
    require(brace == Brace::no || slot_of(name) == slot_of(names.value), "and lies in its slot");
  }
}

/// The input is TAG:ID, or any name on a server.
const Harness key_names("key_names", [](std::string_view text) {
  (void)parse_redis_name(text, Brace::yes);
  const auto key = parse_redis_name(text, Brace::no);
  if (!key || key->id.find('\0') != std::string::npos) return;
  look_at(*key, Brace::no);
  if (!check_id_in_cluster(key->id)) look_at(*key, Brace::yes);
});

}  // namespace
}  // namespace memolock::fuzz
