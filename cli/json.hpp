// What memolock's JSON has in common: fields in their order, times in seconds, texts of any bytes.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "src/clock.hpp"

namespace memolock {

using Json = nlohmann::ordered_json;

/// Seconds; null for nothing.
[[nodiscard]] inline Json seconds(const std::optional<Nanoseconds>& length) {
  if (!length) return nullptr;
  return std::chrono::duration<double>(*length).count();
}

/// In one line, without its end. Tags, ids and words may hold any bytes, JSON may not: what is no
/// UTF-8 becomes U+FFFD. Fit to be shown on a terminal.
[[nodiscard]] std::string json_text(const Json& json);

/// Sets a field, and beside what is no UTF-8, and so is not whole there, NAME_hex with its bytes.
void set_bytes(Json& json, const std::string& name, const std::string& bytes);

}  // namespace memolock
