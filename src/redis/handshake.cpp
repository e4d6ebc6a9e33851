#include "src/redis/handshake.hpp"

#include <algorithm>
#include <utility>

#include "src/redis/server_error.hpp"

namespace memolock {

void RedisHandshake::send(RedisConnection& connection, Step step,
                          std::initializer_list<RedisArgument> command) {
  connection.queue(command);
  pending_.push_back(step);
}

void RedisHandshake::ask_role(RedisConnection& connection) {
  send(connection, Step::role, {"ROLE"});
}

void RedisHandshake::ask_node_id(RedisConnection& connection, std::string expected_id) {
  expected_id_ = std::move(expected_id);
  send(connection, Step::node_id, {"CLUSTER", "MYID"});
}

void RedisHandshake::ask_slots(RedisConnection& connection) {
  send(connection, Step::slots, {"CLUSTER", "SLOTS"});
}

void RedisHandshake::switch_to_resp3(RedisConnection& connection) {
  send(connection, Step::resp3, {"HELLO", "3"});
}

void RedisHandshake::queue_asking(RedisConnection& connection) {
  send(connection, Step::asking, {"ASKING"});
}

bool RedisHandshake::is_verifying_server() const {
  return std::any_of(pending_.begin(), pending_.end(),
                     [](Step step) { return step == Step::role || step == Step::node_id; });
}

RedisHandshake::Outcome RedisHandshake::check(const RedisReply& reply) {
  const Step step = pending_.front();
  pending_.erase(pending_.begin());
  switch (step) {
    case Step::role:
      return check_role(reply);
    case Step::node_id:
      return check_node_id(reply);
    case Step::slots:
      return Outcome::slots_received;
    case Step::resp3:
    case Step::asking:
      break;
  }
  return reply.is_error() ? Outcome::refused : Outcome::passed;
}

RedisHandshake::Outcome RedisHandshake::check_role(const RedisReply& reply) {
  if (reply.is_error())
    return has_error_code(*reply.error(), "NOPERM") ? Outcome::role_denied : Outcome::refused;
  const auto [role] = reply.first<1>();
  return role->text() == "master" ? Outcome::passed : Outcome::not_primary;
}

/// If the user may not ask for the id, the address is trusted.
RedisHandshake::Outcome RedisHandshake::check_node_id(const RedisReply& reply) const {
  if (reply.is_error())
    return has_error_code(*reply.error(), "NOPERM") ? Outcome::passed : Outcome::wrong_node;
  return reply.text() == expected_id_ ? Outcome::passed : Outcome::wrong_node;
}

}  // namespace memolock
