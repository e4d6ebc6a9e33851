#include "src/redis/server_error.hpp"

#include <algorithm>
#include <array>

#include "src/system/text.hpp"

namespace memolock {

bool is_out_of_memory(const Error& error) {
  const auto* const answer = dynamic_cast<const ServerError*>(&error);
  return answer != nullptr && answer->reason() == ServerError::Reason::out_of_memory;
}

bool has_error_code(std::string_view error, std::string_view code) {
  return error.starts_with(code) && (error.size() == code.size() || error[code.size()] == ' ');
}

ServerError::Reason error_reason(std::string_view error) {
  // NOREPLICAS: the server has been cut off, or has just become the primary and its replicas have
  // not connected yet.
  static constexpr std::array<std::string_view, 7> busy{
      "LOADING", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "READONLY", "NOREPLICAS", "BUSY"};
  const bool is_busy = std::any_of(
      busy.begin(), busy.end(), [&](std::string_view code) { return has_error_code(error, code); });
  if (is_busy) return ServerError::Reason::busy;
  return has_error_code(error, "OOM") ? ServerError::Reason::out_of_memory
                                      : ServerError::Reason::refused;
}

bool has_too_many_clients(std::string_view error) {
  return error.starts_with("ERR max number of clients");
}

bool is_cut_off_from_cluster(std::string_view error) {
  return has_error_code(error, "CLUSTERDOWN") || has_error_code(error, "LOADING");
}

bool prevents_subscribing(std::string_view error) {
  const auto contains = [&](std::string_view text) { return error.find(text) != error.npos; };
  return contains("NOPERM") || contains("NOPROTO") ||
         (contains("unknown command") && contains("HELLO"));
}

std::string shown_error(std::string_view error) {
  constexpr size_t max_length = 200;
  // Redis 7 appends the script's hash and the line.
  const std::string_view start = error.substr(0, std::min(error.find(" script: "), max_length));
  // Before a login, Redis refuses a command with many arguments with a different text.
  if (start.find("unauthenticated") != std::string_view::npos)
    return "NOAUTH Authentication required.";
  return escape_controls(start);
}

}  // namespace memolock
