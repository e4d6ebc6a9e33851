// A reference to something that can be called without arguments.
#pragma once

#include <cstddef>

namespace memolock {

/// Refers to a function object, which must outlive it, or to nothing. Unlike a std::function it
/// never allocates, so one can be made once a command has started.
template <typename Result>
class FunctionRef {
 public:
  FunctionRef(std::nullptr_t = nullptr) noexcept {}
  template <typename Function>
  FunctionRef(const Function& function) noexcept
      : function_(&function), call_([](const void* called) -> Result {
          return (*static_cast<const Function*>(called))();
        }) {}

  /// Requires that it refers to something.
  Result operator()() const { return call_(function_); }
  explicit operator bool() const noexcept { return call_ != nullptr; }

 private:
  const void* function_ = nullptr;
  Result (*call_)(const void* called) = nullptr;
};

}  // namespace memolock
