"""Training methods: MoCo, PIRL, NPID, SimCLR, supervised; one train step."""
