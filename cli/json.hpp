// JSON output: fields in the order in which they are set, times in seconds, texts with arbitrary
// bytes.
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

/// A JSON value. Hides the library, whose header takes seconds to compile. Used by one thread.
class Json {
 public:
  Json();  ///< null
  // Implicit, so that set() takes a value of any of these types.
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

  /// Sets a field of an object. A null value becomes an object first.
  void set(const std::string& name, Json value);
  /// Sets a field; if `bytes` is not UTF-8, which JSON cannot represent, also the field NAME_hex.
  void set_bytes(const std::string& name, const std::string& bytes);
  /// Appends a value to an array.
  void append(Json value);

  /// The value as one line, without a newline. Control characters are escaped; bytes that are not
  /// UTF-8 become U+FFFD.
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

/// A length of time in seconds, or null. A whole number is written without a fraction: jq 1.7 would
/// print 3600.0 unchanged, which shell arithmetic rejects.
[[nodiscard]] inline Json seconds(const std::optional<Nanoseconds>& length) {
  if (!length) return {};
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(*length);
  if (whole == *length) return whole.count();
  return std::chrono::duration<double>(*length).count();
}

}  // namespace memolock
