"""Names that users of other libraries already type, on monge's solver.

    from monge.compat import pot as ot
    ot.solve_sample(x, y, a, b, reg=0.1, unbalanced=1.0).value

``pot`` speaks POT, ``geomloss`` GeomLoss, ``ott`` OTT-JAX's units. They rename and convert; what monge does
not have raises NotImplementedError, nothing is silently ignored. docs/differences.md says what changes.
"""
