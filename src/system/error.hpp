// The one exception type. Expected outcomes are values; this is for the rest. It is worded where
// the fact is known ("cannot open /x/y: Permission denied") and caught once, in the cli.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>

namespace memolock {

class Error : public std::runtime_error {
 public:
  enum class Kind {
    usage,        ///< the caller asked for something that makes no sense; never falls back
    store,        ///< the store is out of reach or unfit; --on-store-error decides
    interrupted,  ///< what was under way before or after the command was ended by a signal
  };

  Error(Kind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  [[nodiscard]] Kind kind() const { return kind_; }

 private:
  Kind kind_;
};

inline Error usage_error(const std::string& message) { return {Error::Kind::usage, message}; }
inline Error store_error(const std::string& message) { return {Error::Kind::store, message}; }
inline Error interruption() { return {Error::Kind::interrupted, "interrupted"}; }

/// What is said of the exception that is being handled; "out of memory" where there is none for
/// more. Inside a catch clause only.
[[nodiscard]] std::string caught_text() noexcept;

/// What `work` has thrown, as a value; nothing: nothing. For all that is done once the command has
/// started: a function that is noexcept cannot lead back to whoever would run the command again.
template <typename Work>
[[nodiscard]] std::optional<std::string> failure_of(const Work& work) noexcept {
  try {
    work();
    return std::nullopt;
  } catch (...) {
    return caught_text();
  }
}

/// A store error for a system call that failed: "WHAT: No such file or directory".
[[nodiscard]] Error system_error(const std::string& what, int error_number);

/// The text of an errno, without the locale machinery of strerror.
[[nodiscard]] std::string error_text(int error_number);
/// The same of a read from a descriptor that the caller has given this process.
[[nodiscard]] std::string read_error_text(int error_number);
/// The same to follow a name: "connection refused".
[[nodiscard]] std::string error_in_sentence(int error_number);

}  // namespace memolock
