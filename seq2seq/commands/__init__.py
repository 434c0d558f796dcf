"""What the commands of the command line do. Errors are raised; :mod:`seq2seq.cli` reports them.

A function has the name of its command and takes its arguments. Each module imports what its
commands need and no more: ``train`` runs where no text library is installed.
"""
