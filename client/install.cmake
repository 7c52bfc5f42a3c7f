# libpdvault as it is installed: a shared library and an archive that show pdv_* only.
set(LIBPDVAULT_PARTS pdvault transport proto)

add_library(pdvault_shared SHARED shared/stdio.c)
set_target_properties(pdvault_shared PROPERTIES
	OUTPUT_NAME pdvault
	VERSION ${PROJECT_VERSION}
	SOVERSION ${PROJECT_VERSION_MAJOR}
	LINK_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/libpdvault.map)
target_link_libraries(pdvault_shared PRIVATE
	-Wl,--whole-archive ${LIBPDVAULT_PARTS} -Wl,--no-whole-archive pdv_flags)
target_link_options(pdvault_shared PRIVATE
	-Wl,--version-script=${CMAKE_CURRENT_SOURCE_DIR}/libpdvault.map -Wl,--no-undefined
	-Wl,--wrap=stdout -Wl,--wrap=stderr)
if(PDV_SANITIZE)
	# The sanitizers' own symbols come from the program.
	target_link_options(pdvault_shared PRIVATE -Wl,--undefined-version -Wl,-z,undefs)
endif()

# One object with nng inside, and all but pdv_* made local, so that no name can clash with
# a program's and the program need not wrap anything.
set(wraps "")
foreach(function ${NNG_WRAPS})
	list(APPEND wraps --wrap=${function})
endforeach()
set(LIBPDVAULT_OBJECT ${CMAKE_CURRENT_BINARY_DIR}/libpdvault.o)
set(LIBPDVAULT_ARCHIVE ${CMAKE_CURRENT_BINARY_DIR}/libpdvault_installed.a)
add_custom_command(
	OUTPUT ${LIBPDVAULT_ARCHIVE}
	COMMAND ${CMAKE_LINKER} -r ${wraps} -o ${LIBPDVAULT_OBJECT} --whole-archive
		$<TARGET_FILE:pdvault> $<TARGET_FILE:transport> $<TARGET_FILE:proto>
		--no-whole-archive ${NNG_ARCHIVE}
	COMMAND ${CMAKE_OBJCOPY} --wildcard --keep-global-symbol=pdv_* ${LIBPDVAULT_OBJECT}
	COMMAND ${CMAKE_COMMAND} -E rm -f ${LIBPDVAULT_ARCHIVE}
	COMMAND ${CMAKE_AR} qc ${LIBPDVAULT_ARCHIVE} ${LIBPDVAULT_OBJECT}
	COMMAND ${CMAKE_RANLIB} ${LIBPDVAULT_ARCHIVE}
	DEPENDS ${LIBPDVAULT_PARTS}
	VERBATIM)
add_custom_target(pdvault_archive ALL DEPENDS ${LIBPDVAULT_ARCHIVE})

# Paths in the .pc file: from where it lies, or absolute where the directories are.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX
	BASE_DIRECTORY ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig OUTPUT_VARIABLE PC_PREFIX)
foreach(part LIBDIR INCLUDEDIR)
	set(PC_${part} "\${prefix}/${CMAKE_INSTALL_${part}}")
	if(IS_ABSOLUTE "${CMAKE_INSTALL_${part}}")
		set(PC_${part} "${CMAKE_INSTALL_${part}}")
	endif()
endforeach()
configure_file(libpdvault.pc.in libpdvault.pc @ONLY)

include(CMakePackageConfigHelpers)
configure_package_config_file(pdvault-config.cmake.in pdvault-config.cmake
	INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/pdvault
	PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(pdvault-config-version.cmake COMPATIBILITY SameMajorVersion)

install(TARGETS pdvault_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${LIBPDVAULT_ARCHIVE} DESTINATION ${CMAKE_INSTALL_LIBDIR} RENAME libpdvault.a)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/pdvault
	DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/libpdvault.pc
	DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/pdvault-config.cmake
	${CMAKE_CURRENT_BINARY_DIR}/pdvault-config-version.cmake
	DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/pdvault)
