# The SMTP dialogs against the edge with fake backends and a certificate made here.
set(smtp_certificate ${CMAKE_CURRENT_BINARY_DIR}/dialog.crt)
set(smtp_key ${CMAKE_CURRENT_BINARY_DIR}/dialog.key)
add_custom_command(OUTPUT ${smtp_certificate} ${smtp_key}
  COMMAND openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=mx.example.test
          -out ${smtp_certificate} -keyout ${smtp_key} VERBATIM)
add_executable(smtp_dialog_server smtp_server.cpp ${smtp_certificate})
target_include_directories(smtp_dialog_server PRIVATE ${CMAKE_SOURCE_DIR}/tests)
target_link_libraries(smtp_dialog_server PRIVATE merpati_service_smtp GTest::gtest)
set_target_properties(smtp_dialog_server PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
add_test(NAME protocol_smtp COMMAND smtp_dialog_server python3 ${CMAKE_CURRENT_SOURCE_DIR}/run_dialog.py
         ${CMAKE_CURRENT_SOURCE_DIR}/smtp ${smtp_certificate} ${smtp_key})
merpati_suite(protocol_smtp protocol 300)
