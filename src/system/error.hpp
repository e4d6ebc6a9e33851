// The base of memolock's exceptions. Expected outcomes are values; exceptions are for the rest. The
// message is worded where the cause is known ("cannot open /x/y: Permission denied"); cli/ prints
// or logs it. Only std::bad_alloc and the exceptions of libraries are not derived from this class.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>

namespace memolock {

class Error : public std::runtime_error {
 public:
  enum class Kind {
    usage,        ///< the call is not valid; the command is not run
    store,        ///< the store cannot be reached or used; --on-store-error decides what happens
    interrupted,  ///< a signal has ended the work, before or after the command ran
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
/// a message. Call it in a catch clause only.
[[nodiscard]] std::string current_exception_text() noexcept;

/// Calls `work`. Returns the message of the exception that it throws; nothing if it does not throw.
/// To be used for all work after the start of the command: an exception could otherwise reach code
/// that runs the command again.
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
/// The same for a read that failed, from a descriptor that this process has inherited and that may
/// be closed.
[[nodiscard]] std::string read_error_text(int error_number);
/// The same as error_text(), but beginning with a lower-case letter: "connection refused".
[[nodiscard]] std::string lowercase_error_text(int error_number);

}  // namespace memolock
