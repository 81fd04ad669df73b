"""The scripts of the Kyoto Tycoon server: Lua procedures that clients call."""
