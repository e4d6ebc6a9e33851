// Classifies the error replies of a Redis server.
#pragma once

#include <string>
#include <string_view>

#include "src/system/error.hpp"

namespace memolock {

/// A server has replied to a command with an error. The message names the server. The connection
/// can still be used unless the thrower has closed it.
class ServerError : public Error {
 public:
  enum class Reason {
    refused,        ///< the same command would fail again
    out_of_memory,  ///< the same, but a command that only reads may succeed outside a transaction
    login_refused,  ///< the same login would fail again; the connection cannot be used
    busy,           ///< loading, failing over or running a script: the command may soon succeed
    wrong_node,     ///< on a cluster: another node must be asked, and the router has been notified
  };

  ServerError(Reason reason, const std::string& message)
      : Error(Kind::store, message), reason_(reason) {}

  [[nodiscard]] Reason reason() const { return reason_; }
  /// Whether the same command may succeed, here or on another node.
  [[nodiscard]] bool may_be_retried() const {
    return reason_ == Reason::busy || reason_ == Reason::wrong_node;
  }

 private:
  Reason reason_;
};

/// Whether `error` is a ServerError for that reason.
[[nodiscard]] bool is_out_of_memory(const Error& error);

/// Whether the error reply `error` begins with the code `code`, such as "NOPERM".
[[nodiscard]] bool has_error_code(std::string_view error, std::string_view code);

/// The reason for an error reply, which must not be a redirection of a cluster.
[[nodiscard]] ServerError::Reason error_reason(std::string_view error);

/// Whether the server has closed the connection because it has too many clients, which is
/// temporary.
[[nodiscard]] bool has_too_many_clients(std::string_view error);

/// Whether the node that sent `error` may no longer know the state of its cluster.
[[nodiscard]] bool is_cut_off_from_cluster(std::string_view error);

/// Whether an error of SUBSCRIBE, or of the commands sent with it, means that this user cannot
/// subscribe on this server at all: the user has no permission, or a proxy does not support HELLO
/// or RESP3.
[[nodiscard]] bool prevents_subscribing(std::string_view error);

/// The part of an error reply that is shown to people, escaped.
[[nodiscard]] std::string shown_error(std::string_view error);

}  // namespace memolock
