// Harness: reads the cached slots of a cluster, and redirections from its nodes.
#include "src/redis/slots.hpp"

#include "tests/fuzz/harness.hpp"

namespace memolock::fuzz {
namespace {

const Harness slots("slots", [](std::string_view text) {
  const SlotMap map = SlotMap::parse(text);
  require(SlotMap::parse(map.text()).text() == map.text(),
          "slots that were written are read unchanged");
  for (const RedisNode& node : map.nodes()) {
    require_printable(node.host.shown());
    require(node.host.port != 0, "a node has a port");
  }
  require(map.missing_slots() >= 0 && map.missing_slots() <= slot_count,
          "the number of missing slots is possible");
});

const Harness redirection("redirection", [](std::string_view error) {
  const auto found = parse_redirection(error, {"asked", 1});
  if (!found) return;
  require(!found->host.name.empty() && found->host.port != 0, "it has a host and a port");
  require_printable(found->host.shown());
});

}  // namespace
}  // namespace memolock::fuzz
