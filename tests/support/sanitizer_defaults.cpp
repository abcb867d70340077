// What the sanitizers do in every program of the presets asan and tsan, however it is started; ASAN_OPTIONS, UBSAN_OPTIONS
// and TSAN_OPTIONS add to it. Each suppression carries its reason: only code that is not ours, which Debian ships without
// instrumentation, so that a sanitizer sees half of what it does. Never a name of namespace merpati.

#if defined(MERPATI_SANITIZE_THREAD)

extern "C" const char* __tsan_default_options() { return "second_deadlock_stack=1:history_size=4"; }

extern "C" const char* __tsan_default_suppressions() {
  return
      // Boost.Asio 1.81 counts an executor's owners with a fence, which ThreadSanitizer does not model.
      "race:boost::asio::execution::detail::shared_target_executor\n";
}

#elif defined(MERPATI_SANITIZE_ADDRESS)

extern "C" const char* __asan_default_options() { return "detect_leaks=1:detect_stack_use_after_return=1"; }

extern "C" const char* __ubsan_default_options() { return "print_stacktrace=1"; }

#endif
