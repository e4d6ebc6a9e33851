// JSON output: fields in the order they are set, times in seconds, texts of any bytes.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/system/clock.hpp"

namespace memolock {

/// A JSON value. Hides the library, whose header takes seconds to compile.
class Json {
 public:
  Json();  ///< null
  // Implicit, so that set() takes whatever type a field has.
  Json(bool value);
  Json(double value);
  Json(const char* text);
  Json(const std::string& text);
  Json(const std::vector<std::string>& texts);
  template <std::signed_integral Number>
  Json(Number value) : Json(Signed{value}) {}
  template <std::unsigned_integral Number>
  Json(Number value) : Json(Unsigned{value}) {}
  Json(Json&& other) noexcept;
  Json& operator=(Json&& other) noexcept;
  ~Json();

  [[nodiscard]] static Json array();

  /// Sets a field; null becomes an object.
  void set(const std::string& name, Json value);
  /// Sets a field; if `bytes` is not UTF-8, which JSON cannot represent, also NAME_hex.
  void set_bytes(const std::string& name, const std::string& bytes);
  /// Adds a value to an array.
  void append(Json value);

  /// One line without its newline, with control characters escaped. What is not UTF-8 becomes
  /// U+FFFD.
  [[nodiscard]] std::string text() const;

 private:
  struct Signed {
    int64_t value;
  };
  struct Unsigned {
    uint64_t value;
  };
  struct Value;

  explicit Json(Signed number);
  explicit Json(Unsigned number);
  explicit Json(Value value);

  std::unique_ptr<Value> value_;
};

/// Seconds; null for nothing. A whole number is written without a fraction: jq 1.7 prints 3600.0 as
/// it is, which shell arithmetic rejects.
[[nodiscard]] inline Json seconds(const std::optional<Nanoseconds>& length) {
  if (!length) return {};
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(*length);
  if (whole == *length) return whole.count();
  return std::chrono::duration<double>(*length).count();
}

}  // namespace memolock
