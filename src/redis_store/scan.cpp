#include "src/redis_store/scan.hpp"

#include <utility>

#include <fmt/format.h>

#include "src/redis/names.hpp"
#include "src/store/key_containers.hpp"
#include "src/system/error.hpp"

namespace memolock {
namespace {

constexpr size_t max_entries = 4'000'000;
// The maximum number of consecutive replies without a new name.
constexpr size_t max_empty_rounds = 1'000'000;

/// Detects that the cursors of SCAN repeat, storing only one of them (Brent's algorithm).
class CursorCycle {
 public:
  [[nodiscard]] bool closes_with(const std::string& cursor) {
    if (cursor == earlier_) return true;
    if (++since_ < distance_) return false;
    earlier_ = cursor;
    since_ = 0;
    distance_ *= 2;
    return false;
  }

 private:
  std::string earlier_;
  size_t since_ = 0;
  size_t distance_ = 1;  // replies
};

}  // namespace

std::vector<RedisSession*> RedisScan::nodes() {
  const RedisSettings& settings = context_.settings;
  if (!settings.address.is_cluster()) return {&context_.session};
  if (cluster_nodes_.empty())
    for (RedisAddress& address : context_.session.primaries()) {
      cluster_nodes_.push_back(std::make_unique<RedisSession>(std::move(address), settings.timeout,
                                                              wait_limit_, context_.log));
      cluster_nodes_.back()->limit_large_strings(settings.max_entry);
    }
  std::vector<RedisSession*> all;
  for (const auto& node : cluster_nodes_) all.push_back(node.get());
  return all;
}

/// Each entry is visited once, though SCAN may return a key twice, an entry has several keys, and
/// one whose slot is moving may be found on two nodes.
void RedisScan::each_key(const std::optional<std::string>& tag, const Progress& on_progress,
                         const std::function<void(const Key&, size_t node)>& visit) {
  NameSet seen;
  const BracedId braced_id = context_.settings.address.is_cluster() ? BracedId::yes : BracedId::no;
  const auto all_nodes = nodes();
  for (size_t node = 0; node < all_nodes.size(); ++node) {
    scan_node(*all_nodes[node], scan_pattern(tag), [&](const std::string& name) {
      const auto key = parse_redis_name(name, braced_id);
      if (!key || (tag && key->tag != *tag) || !seen.add(key->tag + '\0' + key->id)) return false;
      if (seen.size() > max_entries)
        throw store_error(all_nodes[node]->error_text(
            fmt::format("SCAN returned more than {} entries", max_entries)));
      visit(*key, node);
      return true;
    });
    on_progress("found", seen.size());
  }
}

/// Calls `is_new` with each name. Its results bound the loop, whatever the server replies.
void RedisScan::scan_node(RedisSession& node, const std::string& pattern,
                          const std::function<bool(const std::string& name)>& is_new) const {
  std::string cursor = "0";
  CursorCycle cycle;
  size_t empty_rounds = 0;
  do {
    ++empty_rounds;
    node.with_context([&] {
      const RedisReply reply = node.pipeline({{"SCAN", cursor, "MATCH", pattern, "COUNT", "1000"}})
                                   .next();
      const auto [next, found] = reply.array<2>();
      for (const RedisReply& name : found->list())
        // A name that is stored in a file is too long for a key of memolock.
        if (!name.string().file && is_new(name.text())) empty_rounds = 0;
      cursor = next->text();
    });
    if (empty_rounds > max_empty_rounds || cycle.closes_with(cursor))
      throw store_error(node.error_text("SCAN does not end"));
  } while (cursor != "0");
}

}  // namespace memolock
