#include "src/redis/router.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "src/redis/connection.hpp"
#include "src/redis/slot_cache.hpp"
#include "src/system/error.hpp"

namespace memolock {

RedisRouter::RedisRouter(const RedisAddress& cluster, Nanoseconds timeout, const Log& log)
    : cluster_(cluster), timeout_(timeout), log_(log) {}

RedisRouter::Route RedisRouter::route(uint16_t slot, const WaitLimit& wait_limit) {
  Route route;
  if (const auto to = std::exchange(redirection_, std::nullopt)) {
    route.host = to->host;
    route.is_for_one_request = to->kind == Redirection::Kind::ask;
    route.should_ask_slots = !route.is_for_one_request;
    return route;
  }
  if (unreachable_) {
    ask_other_hosts(slot, wait_limit);
  } else if (!std::exchange(has_read_cache_, true)) {
    map_ = read_cached_slots(cluster_.cluster);
  }
  if (const RedisNode* const node = map_.node_of(slot)) {
    route.host = node->host;
    if (is_cached_) route.id = node->id;
  } else {
    route.host = cluster_.cluster.hosts.front();
    route.should_ask_slots = std::exchange(should_ask_slots_, false);
  }
  return route;
}

bool RedisRouter::may_be_at(uint16_t slot, const RedisHost& host) const {
  const RedisNode* const node = map_.node_of(slot);
  return node == nullptr || node->host == host;
}

void RedisRouter::redirect(const Redirection& to) {
  log_.debug("the key is at {}", to.host.shown());
  redirection_ = to;
}

void RedisRouter::report_unreachable(const RedisHost& host, const std::string& error) {
  unreachable_ = {host, error};
}

void RedisRouter::discard_map() {
  map_ = {};
  should_ask_slots_ = true;
}

void RedisRouter::update_map(const RedisReply& reply, const RedisHost& asked) {
  SlotMap map = SlotMap::parse_reply(reply, asked);
  if (map.empty()) {
    log_.debug("{} does not report the slots of the cluster", asked.shown());
    return;
  }
  map_ = std::move(map);
  is_cached_ = false;
  has_read_cache_ = true;
  cache_slots(cluster_.cluster, map_);
}

const SlotMap& RedisRouter::ask_for_slots(const WaitLimit& wait_limit) {
  if (!std::exchange(has_read_cache_, true)) map_ = read_cached_slots(cluster_.cluster);
  ask_hosts(hosts_except({}), wait_limit, [] { return true; });
  return map_;
}

/// All known nodes but one: nodes in the map first, because they are more likely to exist.
std::vector<RedisHost> RedisRouter::hosts_except(const RedisHost& than) const {
  std::vector<RedisHost> hosts;
  const auto add = [&](const RedisHost& host) {
    if (host != than && std::find(hosts.begin(), hosts.end(), host) == hosts.end())
      hosts.push_back(host);
  };
  for (const RedisNode& node : map_.nodes()) add(node.host);
  for (const RedisHost& host : cluster_.cluster.hosts) add(host);
  return hosts;
}

/// Asks the hosts in turn until `is_enough` holds for the map.
void RedisRouter::ask_hosts(const std::vector<RedisHost>& hosts, const WaitLimit& wait_limit,
                            const std::function<bool()>& is_enough) {
  // Each host gets a share of the timeout to connect and the same time to reply, but at least
  // enough for a distant node. The total is bounded, because a map may name any number of nodes.
  constexpr int64_t enough = 6;
  constexpr Nanoseconds least = std::chrono::milliseconds(300);
  const auto count = static_cast<int64_t>(std::max<size_t>(hosts.size(), 1));
  const Nanoseconds share = std::max(timeout_ / count, std::min(least, timeout_));
  const WaitLimit for_all = wait_limit.within(2 * std::max(timeout_, enough * share));
  std::string last_fault = fmt::format("the store at {}: no other node is known", cluster_.shown());
  bool has_learned = false;
  for (const RedisHost& host : hosts) {
    try {
      const RedisAddress address = cluster_.at(host);
      RedisConnection connection(address, share, for_all.within(2 * share));
      connection.queue({"CLUSTER", "SLOTS"});
      const RedisReply answer = connection.read_reply();
      const std::string name = fmt::format("the store at {}", address.shown());
      read_from(name, [&] {
        if (answer.is_error()) answer.throw_unexpected();
        if (SlotMap::parse_reply(answer, host).empty())
          throw store_error(name + ": it reports no slots");
        update_map(answer, host);
      });
      has_learned = true;
      if (is_enough()) return;
    } catch (const Error& error) {
      if (error.kind() != Error::Kind::store) throw;
      last_fault = error.what();
      log_.debug("{}; trying the next one", last_fault);
    }
  }
  if (!has_learned) throw store_error(last_fault);
}

void RedisRouter::ask_other_hosts(uint16_t slot, const WaitLimit& wait_limit) {
  const UnreachableHost unreachable = *std::exchange(unreachable_, std::nullopt);
  const auto names_another = [&] {
    const RedisNode* const node = map_.node_of(slot);
    return node == nullptr || node->host != unreachable.host;
  };
  try {
    ask_hosts(hosts_except(unreachable.host), wait_limit, names_another);
  } catch (const Error& error) {
    if (error.kind() != Error::Kind::store) throw;
    if (!unreachable.error.empty()) throw store_error(unreachable.error);
  }
  if (!unreachable.error.empty() && !names_another()) throw store_error(unreachable.error);
}

}  // namespace memolock
