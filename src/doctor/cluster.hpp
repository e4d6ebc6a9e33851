// The checks of `doctor` for a cluster as a whole.
#pragma once

#include <string>
#include <vector>

#include "src/doctor/finding.hpp"
#include "src/entry/key.hpp"
#include "src/redis/address.hpp"
#include "src/redis/slots.hpp"

namespace memolock {

/// The findings about whether each slot has a node, and each node a replica.
[[nodiscard]] std::vector<Finding> check_slots(const SlotMap& map);

/// A key of `tag` without an entry whose slot is on `node`. Requires that `map` has a slot of that
/// node.
[[nodiscard]] Key scratch_key_at(const SlotMap& map, const RedisNode& node, const std::string& tag);

/// The findings about one node.
struct NodeFindings {
  RedisHost node;
  std::vector<Finding> findings;
};

/// The findings about all nodes, in the order of those about the first node. A finding that all
/// nodes have in common appears once; any other has the name of its node.
[[nodiscard]] std::vector<Finding> merge_findings(const std::vector<NodeFindings>& nodes);

}  // namespace memolock
