# One place for the compiler's flags: pdv_flags is linked by everything written here,
# pdv_generated_flags by what protoc-c wrote.
add_library(pdv_generated_flags INTERFACE)
target_compile_definitions(pdv_generated_flags INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64)
target_compile_options(pdv_generated_flags INTERFACE
	-fstack-protector-strong -fstack-clash-protection -ffunction-sections -fdata-sections)
target_link_options(pdv_generated_flags INTERFACE
	-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--gc-sections)
if(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
	target_compile_options(pdv_generated_flags INTERFACE -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
if(PDV_SANITIZE)
	target_compile_options(pdv_generated_flags INTERFACE
		-fsanitize=${PDV_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
	target_link_options(pdv_generated_flags INTERFACE -fsanitize=${PDV_SANITIZE})
endif()
if(PDV_COVERAGE)
	target_compile_options(pdv_generated_flags INTERFACE --coverage)
	target_link_options(pdv_generated_flags INTERFACE --coverage)
endif()

add_library(pdv_flags INTERFACE)
target_link_libraries(pdv_flags INTERFACE pdv_generated_flags)
target_include_directories(pdv_flags INTERFACE ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR})
target_compile_options(pdv_flags INTERFACE
	-Wall -Wextra -pedantic -Wconversion -Wsign-conversion -Wshadow -Wvla -Wpointer-arith
	-Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wformat=2 -Wundef -Wcast-qual
	-Wno-missing-field-initializers -Werror)
target_compile_definitions(pdv_flags INTERFACE PDV_VERSION="${PROJECT_VERSION}")
if(PDV_TESTS OR PDV_FUZZ)
	target_compile_definitions(pdv_flags INTERFACE PDV_TEST_HOOKS=1)
endif()
# The name is in a header, so that with another one only what asks for it is built again.
if(PDV_MUTANT)
	if(NOT PDV_TESTS)
		message(FATAL_ERROR "PDV_MUTANT is for builds with PDV_TESTS")
	endif()
	file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/mutant/mutant_chosen.h
		CONTENT "#define MUTANT_CHOSEN MUTANT_${PDV_MUTANT}\n")
	target_include_directories(pdv_flags INTERFACE ${CMAKE_BINARY_DIR}/mutant)
	target_compile_definitions(pdv_flags INTERFACE PDV_MUTANT=1)
endif()
if(PDV_KEY_REGISTRY)
	target_compile_definitions(pdv_flags INTERFACE PDV_KEY_REGISTRY=1)
endif()
