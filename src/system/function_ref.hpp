// A reference to a function object that is called without arguments.
#pragma once

#include <cstddef>

namespace memolock {

/// Refers to a function object, which must outlive it, or to nothing. Unlike a std::function, it
/// never allocates, so it can be created after the start of a command.
template <typename Result>
class FunctionRef {
 public:
  FunctionRef(std::nullptr_t = nullptr) noexcept {}
  template <typename Function>
  FunctionRef(const Function& function) noexcept
      : function_(&function), call_([](const void* called) -> Result {
          return (*static_cast<const Function*>(called))();
        }) {}

  /// Requires that it is not empty.
  Result operator()() const { return call_(function_); }
  explicit operator bool() const noexcept { return call_ != nullptr; }

 private:
  const void* function_ = nullptr;
  Result (*call_)(const void* called) = nullptr;
};

}  // namespace memolock
