// What `doctor` says of a cluster as a whole.
#pragma once

#include <string>
#include <vector>

#include "src/doctor/finding.hpp"
#include "src/entry/key.hpp"
#include "src/redis/address.hpp"
#include "src/redis/slots.hpp"

namespace memolock {

/// Whether each slot has a node, and each node a replica.
[[nodiscard]] std::vector<Finding> check_slots(const SlotMap& map);

/// The name of an entry of `tag` that nobody has and whose slot is at `node`.
[[nodiscard]] Key scratch_key_at(const SlotMap& map, const RedisNode& node, const std::string& tag);

/// What was found at one node.
struct NodeFindings {
  RedisHost node;
  std::vector<Finding> findings;
};

/// All of it in the order of the first node's: what all nodes have said once, the rest with the
/// node's name.
[[nodiscard]] std::vector<Finding> merge_findings(const std::vector<NodeFindings>& nodes);

}  // namespace memolock
