// What the sanitizers do in every program of the presets asan and tsan, however it is started; ASAN_OPTIONS,
// UBSAN_OPTIONS and TSAN_OPTIONS add to it. Each suppression carries its reason: only code that is not ours, which
// Debian ships without instrumentation, so that a sanitizer sees half of what it does. Never a name of namespace
// merpati.

// Without it a report has addresses only.
#if defined(MERPATI_SYMBOLIZER)
#define MERPATI_SYMBOLIZED ":external_symbolizer_path=" MERPATI_SYMBOLIZER
#else
#define MERPATI_SYMBOLIZED ""
#endif

#if defined(MERPATI_SANITIZE_THREAD)

extern "C" const char* __tsan_default_options() { return "second_deadlock_stack=1:history_size=4" MERPATI_SYMBOLIZED; }

// A library of Debian's, which is not instrumented: what it does by intercepted functions (memcpy, free, locks) is not
// looked at, since the atomics that order it are not seen. Accesses of our own code below its callbacks are.
// The name must match exactly one of the loaded libraries, or the program ends at its start.
#define NOT_INSTRUMENTED(name) "called_from_lib:" name ".so\n"

extern "C" const char* __tsan_default_suppressions() {
  return
      // Boost.Asio 1.81 counts an executor's owners with a fence, which ThreadSanitizer does not model.
      "race:boost::asio::execution::detail::shared_target_executor\n"
      // clang-format off
      // gRPC, with what it stands on. sanitizer_grpc.cpp tells the order between our threads that it keeps.
      NOT_INSTRUMENTED("libgrpc++") NOT_INSTRUMENTED("libgrpc") NOT_INSTRUMENTED("libgpr") NOT_INSTRUMENTED("libupb")
      NOT_INSTRUMENTED("libprotobuf") NOT_INSTRUMENTED("libabsl_base") NOT_INSTRUMENTED("libabsl_cord")
      NOT_INSTRUMENTED("libabsl_cord_internal") NOT_INSTRUMENTED("libabsl_cordz_info")
      NOT_INSTRUMENTED("libabsl_graphcycles_internal") NOT_INSTRUMENTED("libabsl_hash")
      NOT_INSTRUMENTED("libabsl_malloc_internal") NOT_INSTRUMENTED("libabsl_random_internal_pool_urbg") NOT_INSTRUMENTED("libabsl_raw_hash_set")
      NOT_INSTRUMENTED("libabsl_status") NOT_INSTRUMENTED("libabsl_statusor") NOT_INSTRUMENTED("libabsl_strings")
      NOT_INSTRUMENTED("libabsl_str_format_internal") NOT_INSTRUMENTED("libabsl_synchronization")
      NOT_INSTRUMENTED("libabsl_time") NOT_INSTRUMENTED("libabsl_time_zone")
      // Leaf of an operation's end that copies what the core says of an error: made on another thread, ordered by the core's
      // atomics. None of our code runs below it; hides a second thread that used the same status at that moment.
      "race:grpc::internal::CallOpClientRecvStatus::FinishOp\n"
      // ICU makes its tables once, OpenSSL counts owners, both by atomics.
      NOT_INSTRUMENTED("libicuuc") NOT_INSTRUMENTED("libicui18n")
      NOT_INSTRUMENTED("libssl") NOT_INSTRUMENTED("libcrypto");
  // clang-format on
}

#undef NOT_INSTRUMENTED

#elif defined(MERPATI_SANITIZE_ADDRESS)

extern "C" const char* __asan_default_options() {
  return "detect_leaks=1:detect_stack_use_after_return=1" MERPATI_SYMBOLIZED;
}

extern "C" const char* __lsan_default_suppressions() {
  return
      // c-ares 1.18 below gRPC's resolver: the 10 octets of a name it looked up stay when a query ends early.
      "leak:libcares.so\n";
}

extern "C" const char* __ubsan_default_options() { return "print_stacktrace=1" MERPATI_SYMBOLIZED; }

#endif
