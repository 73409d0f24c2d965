# find_package(monge) from an install tree: the static library, the public headers, and a config
# that finds the OpenMP (and CUDA) run time the library links.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(MONGE_CONFIG_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/monge)

install(TARGETS monge EXPORT monge-targets COMPONENT library)
install(DIRECTORY include/monge DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT library)
install(EXPORT monge-targets NAMESPACE monge:: DESTINATION ${MONGE_CONFIG_DIR} COMPONENT library)
configure_package_config_file(cmake/monge-config.cmake.in ${PROJECT_BINARY_DIR}/monge-config.cmake
  INSTALL_DESTINATION ${MONGE_CONFIG_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/monge-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/monge-config.cmake ${PROJECT_BINARY_DIR}/monge-config-version.cmake
  DESTINATION ${MONGE_CONFIG_DIR} COMPONENT library)
