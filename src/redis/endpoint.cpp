#include "src/redis/endpoint.hpp"

#include <utility>

#include <fmt/format.h>

#include "src/redis/sentinel.hpp"
#include "src/redis/server_error.hpp"
#include "src/redis/slots.hpp"
#include "src/system/error.hpp"
#include "src/system/text.hpp"

namespace memolock {

RedisEndpoint::RedisEndpoint(RedisAddress address, Nanoseconds timeout, const WaitLimit& wait_limit,
                             const Log& log)
    : address_(std::move(address)), timeout_(timeout), wait_limit_(wait_limit), log_(log) {
  if (address_.is_cluster() && !address_.is_direct())
    router_ = std::make_unique<RedisRouter>(address_, timeout_, log_);
}

void RedisEndpoint::set_wait_limit(const WaitLimit& wait_limit) {
  wait_limit_ = wait_limit;
  if (connection_) connection_->set_wait_limit(wait_limit);
}

// ---- which server ----

void RedisEndpoint::route_to(std::string_view key) {
  if (!router_) return;
  slot_ = slot_of(key);
  if (connection_ && !router_->may_be_at(slot_, host_)) disconnect();
}

std::vector<RedisAddress> RedisEndpoint::primaries() {
  std::vector<RedisAddress> all;
  for (const RedisNode& node : router_->ask_for_slots(wait_limit_).nodes())
    all.push_back(address_.at(node.host));
  return all;
}

void RedisEndpoint::report_unreachable(const std::string& error) {
  if (router_) router_->report_unreachable(host_, error);
}

// ---- the connection ----

RedisConnection& RedisEndpoint::connection() {
  if (connection_) return *connection_;
  handshake_ = {};
  is_for_one_request_ = speaks_resp3_ = false;
  if (router_) {
    connect_to_node();
  } else if (address_.is_direct()) {
    connection_.emplace(address_, timeout_, wait_limit_);
  } else {
    connect_to_primary();
  }
  if (max_string_bytes_) connection_->limit_large_strings(*max_string_bytes_);
  return *connection_;
}

void RedisEndpoint::connect_to_primary() {
  const RedisAddress primary = find_primary(address_, timeout_, wait_limit_, log_);
  host_ = {primary.host, primary.port};
  connection_.emplace(primary, timeout_, wait_limit_);
  handshake_.ask_role(*connection_);
}

void RedisEndpoint::connect_to_node() {
  const RedisRouter::Route route = router_->route(slot_, wait_limit_);
  host_ = route.host;
  connection_.emplace(address_.at(host_), timeout_, wait_limit_);
  is_for_one_request_ = route.is_for_one_request;
  if (!route.id.empty()) handshake_.ask_node_id(*connection_, route.id);
  if (route.should_ask_slots) handshake_.ask_slots(*connection_);
}

void RedisEndpoint::disconnect() {
  connection_.reset();
  is_subscribed_ = false;
}

// ---- the handshake ----

void RedisEndpoint::verify() {
  while (handshake_.is_verifying_server()) check_handshake(connection_->read_reply());
}

void RedisEndpoint::verify_role(const RedisReply& role) {
  act_on(RedisHandshake::check_role(role), role);
}

void RedisEndpoint::switch_to_resp3() {
  if (!std::exchange(speaks_resp3_, true)) handshake_.switch_to_resp3(*connection_);
}

void RedisEndpoint::check_handshake(const RedisReply& reply) {
  try {
    act_on(handshake_.check(reply), reply);
  } catch (const ServerError& error) {
    // The replies to the request that was sent with the handshake are still outstanding.
    if (!error.may_be_retried()) disconnect();
    throw;
  }
}

void RedisEndpoint::act_on(RedisHandshake::Outcome outcome, const RedisReply& reply) {
  switch (outcome) {
    case RedisHandshake::Outcome::passed:
      return;
    case RedisHandshake::Outcome::role_denied:
      may_ask_role_ = false;  // the reply of the sentinels is trusted
      return;
    case RedisHandshake::Outcome::not_primary:
      throw ServerError(ServerError::Reason::busy, error_text("is no longer the primary"));
    case RedisHandshake::Outcome::wrong_node:
      router_->discard_map();
      throw ServerError(ServerError::Reason::wrong_node, error_text("is now another node"));
    case RedisHandshake::Outcome::slots_received:
      return router_->update_map(reply, host_);
    case RedisHandshake::Outcome::refused:
      throw_error(*reply.error());
  }
}

// ---- requests ----

void RedisEndpoint::begin_request() {
  if (is_for_one_request_) handshake_.queue_asking(*connection_);
}

void RedisEndpoint::end_request(Nanoseconds begun) {
  if (connection_->was_large_transfer())
    set_wait_limit({wait_limit_.interrupt, after(wait_limit_.until, boot_now() - begun)});
  if (is_for_one_request_) disconnect();
}

RedisReply RedisEndpoint::next_reply() {
  for (;;) {
    RedisReply reply = connection_->read_reply();
    if (reply.is_message() || reply.is_push()) continue;
    if (handshake_.is_complete()) {
      connection_->count_reply_as_progress();
      return reply;
    }
    check_handshake(reply);
  }
}

std::vector<RedisReply> RedisEndpoint::next_replies(size_t count) {
  std::vector<RedisReply> replies;
  try {
    while (replies.size() < count) replies.push_back(next_reply());
  } catch (const Error&) {
    if (const std::string* const error = first_error(replies)) throw_error(*error);
    throw;
  }
  return replies;
}

// ---- errors ----

std::string RedisEndpoint::error_text(std::string_view what) const {
  return fmt::format("the store at {}: {}", host_.name.empty() ? address_.shown() : host_.shown(),
                     what);
}

void RedisEndpoint::throw_error(std::string_view error, std::string_view key) const {
  const std::string subject = key.empty() ? "" : escape_controls(key) + ": ";
  const std::string text = error_text(subject + shown_error(error));
  if (router_) {
    if (const auto to = parse_redirection(error, host_)) {
      router_->redirect(*to);
      throw ServerError(ServerError::Reason::wrong_node, text);
    }
    if (is_cut_off_from_cluster(error)) router_->report_unreachable(host_, "");
  }
  if (has_too_many_clients(error)) throw store_error(text);
  throw ServerError(error_reason(error), text);
}

void RedisEndpoint::throw_unexpected(const UnexpectedReply& reply, const std::string& subject) {
  const std::string text = error_text((subject.empty() ? "" : subject + ": ") +
                                      shown_error(reply.what()));
  if (reply.is_mismatch()) disconnect();
  throw store_error(text);
}

}  // namespace memolock
