from recurra.cli import main

main()
