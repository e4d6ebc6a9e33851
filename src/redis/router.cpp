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

RedisRouter::Route RedisRouter::route(uint16_t slot, const Cutoff& cutoff) {
  Route route;
  if (const auto to = std::exchange(redirection_, std::nullopt)) {
    route.host = to->host;
    route.is_for_one_request = to->kind == Redirection::Kind::ask;
    route.wants_slots = !route.is_for_one_request;
    return route;
  }
  if (suspicion_) {
    look_elsewhere(slot, cutoff);
  } else if (!std::exchange(has_recalled_, true)) {
    map_ = read_cached_slots(cluster_.cluster);
  }
  if (const RedisNode* const node = map_.node_of(slot)) {
    route.host = node->host;
    if (is_remembered_) route.id = node->id;
  } else {
    route.host = cluster_.cluster.hosts.front();
    route.wants_slots = std::exchange(wants_slots_, false);
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

void RedisRouter::suspect(const RedisHost& host, const std::string& why) {
  suspicion_ = {host, why};
}

void RedisRouter::forget() {
  map_ = {};
  wants_slots_ = true;
}

void RedisRouter::learn(const RedisReply& answer, const RedisHost& asked) {
  SlotMap map = SlotMap::from(answer, asked);
  if (map.empty()) {
    log_.debug("{} does not tell which node has which slots", asked.shown());
    return;
  }
  map_ = std::move(map);
  is_remembered_ = false;
  has_recalled_ = true;
  cache_slots(cluster_.cluster, map_);
}

const SlotMap& RedisRouter::ask_for_slots(const Cutoff& cutoff) {
  if (!std::exchange(has_recalled_, true)) map_ = read_cached_slots(cluster_.cluster);
  ask_one_of(others({}), cutoff, [] { return true; });
  return map_;
}

/// All nodes that are known but one: those of the map first, which are more likely to be there.
std::vector<RedisHost> RedisRouter::others(const RedisHost& than) const {
  std::vector<RedisHost> hosts;
  const auto add = [&](const RedisHost& host) {
    if (host != than && std::find(hosts.begin(), hosts.end(), host) == hosts.end())
      hosts.push_back(host);
  };
  for (const RedisNode& node : map_.nodes()) add(node.host);
  for (const RedisHost& host : cluster_.cluster.hosts) add(host);
  return hosts;
}

/// Takes the word of the first whose answer is enough, else of the last that has one.
void RedisRouter::ask_one_of(const std::vector<RedisHost>& hosts, const Cutoff& cutoff,
                             const std::function<bool()>& is_enough) {
  // Each has a share of the time to connect and as long to answer, but enough for a node that is
  // far. A map may name any number of them.
  constexpr int64_t enough = 6;
  constexpr Nanoseconds least = std::chrono::milliseconds(300);
  const auto count = static_cast<int64_t>(std::max<size_t>(hosts.size(), 1));
  const Nanoseconds share = std::max(timeout_ / count, std::min(least, timeout_));
  const Cutoff for_all = cutoff.within(2 * std::max(timeout_, enough * share));
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
        if (SlotMap::from(answer, host).empty()) throw store_error(name + ": it knows of no slots");
        learn(answer, host);
      });
      has_learned = true;
      if (is_enough()) return;
    } catch (const Error& error) {
      if (error.kind() != Error::Kind::store) throw;
      last_fault = error.what();
      log_.debug("{}; asking the next one", last_fault);
    }
  }
  if (!has_learned) throw store_error(last_fault);
}

void RedisRouter::look_elsewhere(uint16_t slot, const Cutoff& cutoff) {
  const Suspicion suspicion = *std::exchange(suspicion_, std::nullopt);
  const auto names_another = [&] {
    const RedisNode* const node = map_.node_of(slot);
    return node == nullptr || node->host != suspicion.host;
  };
  try {
    ask_one_of(others(suspicion.host), cutoff, names_another);
  } catch (const Error& error) {
    if (error.kind() != Error::Kind::store) throw;
    if (!suspicion.why.empty()) throw store_error(suspicion.why);
  }
  if (!suspicion.why.empty() && !names_another()) throw store_error(suspicion.why);
}

}  // namespace memolock
