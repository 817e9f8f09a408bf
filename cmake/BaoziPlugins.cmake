# baozi_exports_to_plugins(PROGRAM [PREFIX])
#
# Lets a program that links baozi open plug-ins (baozi/pipeline/plugin.h): the modules that plug-ins
# use are linked whole and exported, so that a plug-in finds them there and carries no copy of its
# own. PREFIX is "baozi_" in the source tree and "baozi::" for an installed baozi, the default.
# docs/decisions/020-plugins.md says why.
function(baozi_exports_to_plugins program)
  set(prefix "baozi::")
  if(ARGC GREATER 1)
    set(prefix "${ARGV1}")
  endif()
  set(modules base coro engine model pipeline_steps pipeline pipeline_builtin)
  list(TRANSFORM modules PREPEND "${prefix}")
  string(REPLACE ";" "," modules "${modules}")
  set_target_properties(${program} PROPERTIES ENABLE_EXPORTS ON
    LINK_LIBRARY_OVERRIDE "WHOLE_ARCHIVE,${modules}")
endfunction()
