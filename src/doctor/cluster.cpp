#include "src/doctor/cluster.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "src/redis/names.hpp"
#include "src/system/random.hpp"

namespace memolock {

std::vector<Finding> check_slots(const SlotMap& map) {
  using enum Finding::Severity;
  std::vector<Finding> findings;
  if (const int missing = map.missing_slots(); missing > 0) {
    findings.push_back(
        {fail, "cluster", fmt::format("{} of {} slots have no node", missing, slot_count),
         "restore the nodes that served them; 'redis-cli --cluster check' names the slots"});
  } else {
    findings.push_back(
        {ok, "cluster", fmt::format("{} primaries serve all slots", map.nodes().size()), ""});
  }
  if (const auto alone = map.hosts_without_replica(); !alone.empty())
    findings.push_back({advice, "cluster", "without a replica: " + shown_hosts(alone),
                        "add a replica to each: without one, no node takes over their slots"});
  return findings;
}

Key scratch_key_at(const SlotMap& map, const RedisNode& node, const std::string& tag) {
  for (;;) {
    Key key{tag, std::string(probe_prefix) + random_name()};
    const RedisNode* const its = map.node_of(slot_of(RedisNames(key, BracedId::yes).value));
    if (its != nullptr && *its == node) return key;
  }
}

std::vector<Finding> merge_findings(const std::vector<NodeFindings>& nodes) {
  std::vector<Finding> all;
  const auto is_at = [](const NodeFindings& node, const Finding& finding) {
    return std::find(node.findings.begin(), node.findings.end(), finding) != node.findings.end();
  };
  for (const NodeFindings& node : nodes)
    for (const Finding& finding : node.findings) {
      const bool is_common = std::all_of(nodes.begin(), nodes.end(), [&](const NodeFindings& each) {
        return is_at(each, finding);
      });
      Finding shown = finding;
      const std::string name = node.node.shown();
      if (!is_common && !shown.text.starts_with(name)) shown.text = name + ": " + shown.text;
      if (std::find(all.begin(), all.end(), shown) != all.end()) continue;
      // Inserted after the last finding about the same subject.
      const auto last = std::find_if(all.rbegin(), all.rend(), [&](const Finding& one) {
        return one.subject == shown.subject;
      });
      all.insert(last == all.rend() ? all.end() : last.base(), std::move(shown));
    }
  return all;
}

}  // namespace memolock
