# protoc-c over every file of proto/; the static library `proto` holds what it wrote.
file(GLOB_RECURSE PROTO_FILES CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}/proto proto/*.proto)
find_program(PROTOC_C protoc-c REQUIRED)
set(PROTO_OUT ${CMAKE_BINARY_DIR}/proto)
file(MAKE_DIRECTORY ${PROTO_OUT})
foreach(file ${PROTO_FILES})
	string(REGEX REPLACE "\\.proto$" "" stem ${file})
	add_custom_command(
		OUTPUT ${PROTO_OUT}/${stem}.pb-c.c ${PROTO_OUT}/${stem}.pb-c.h
		COMMAND ${PROTOC_C} --proto_path=${CMAKE_SOURCE_DIR}/proto --c_out=${PROTO_OUT} ${file}
		DEPENDS ${CMAKE_SOURCE_DIR}/proto/${file}
		VERBATIM)
	list(APPEND PROTO_SOURCES ${PROTO_OUT}/${stem}.pb-c.c)
endforeach()
add_library(proto STATIC ${PROTO_SOURCES})
# Its headers are not ours to warn about.
target_include_directories(proto SYSTEM PUBLIC ${PROTO_OUT})
target_link_libraries(proto PUBLIC PkgConfig::PROTOBUF_C PRIVATE pdv_generated_flags)
