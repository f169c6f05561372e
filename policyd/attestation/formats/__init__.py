"""Evidence in the forms that other tools write it: each form is put into a Sigstore bundle, and verified as one."""
