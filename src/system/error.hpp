// The one exception type. Expected outcomes are values; this is for the rest. The message is worded
// where the fact is known ("cannot open /x/y: Permission denied"), and cli/ alone prints it.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>

namespace memolock {

class Error : public std::runtime_error {
 public:
  enum class Kind {
    usage,        ///< the call makes no sense; memolock never runs the command then
    store,        ///< the store is unreachable or unfit; --on-store-error decides
    interrupted,  ///< a signal has ended the work, before or after the command
  };

  Error(Kind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  [[nodiscard]] Kind kind() const { return kind_; }

 private:
  Kind kind_;
};

inline Error usage_error(const std::string& message) { return {Error::Kind::usage, message}; }
inline Error store_error(const std::string& message) { return {Error::Kind::store, message}; }
inline Error interrupted_error() { return {Error::Kind::interrupted, "interrupted"}; }

/// The message of the exception that is being handled, or "out of memory" if there is no memory for
/// it. Call it in a catch clause only.
[[nodiscard]] std::string current_exception_text() noexcept;

/// The message of the exception that `work` throws; nothing if it throws none. For everything that
/// is done once the command has started: an exception could otherwise reach code that would run the
/// command again.
template <typename Work>
[[nodiscard]] std::optional<std::string> failure_of(const Work& work) noexcept {
  try {
    work();
    return std::nullopt;
  } catch (...) {
    return current_exception_text();
  }
}

/// A store error for a system call that failed: "WHAT: No such file or directory".
[[nodiscard]] Error system_error(const std::string& what, int error_number);

/// The text of an errno, without the locale machinery of strerror.
[[nodiscard]] std::string error_text(int error_number);
/// The same for a failed read from a descriptor that this process has inherited.
[[nodiscard]] std::string read_error_text(int error_number);
/// As error_text, but in lower case: "connection refused".
[[nodiscard]] std::string lowercase_error_text(int error_number);

}  // namespace memolock
